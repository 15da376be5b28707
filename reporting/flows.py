"""The Prefect flow that reports on a window of the prediction log."""

from __future__ import annotations

import os
from datetime import datetime

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from reporting.__main__ import open_reporter, summary
from scorehouse.environment import read_settings

RETRIES = 2
RETRY_SECONDS = 60  # a store or registry may be restarting


@flow(name="evidently_data_reporting", retries=RETRIES, retry_delay_seconds=RETRY_SECONDS, persist_result=False)
def evidently_data_reporting(minutes: int | None = None, until: datetime | None = None) -> None:
    """Report on the `minutes` before `until`, for each run that answered, and log when there is nothing to report.

    `until` defaults to the time for which the flow run was scheduled, however late it starts, so that windows follow
    each other without a gap.
    """
    settings = read_settings(os.environ)
    with open_reporter(settings) as reporter:
        span = reporter.span(minutes or settings.report_time_window_minutes, until or flow_run.scheduled_start_time)
        for report in reporter.report(span):
            get_run_logger().info(summary(report))
