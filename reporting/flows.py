"""The Prefect flow that reports on a window of the prediction log."""

from __future__ import annotations

import os
from datetime import datetime

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from reporting.__main__ import reporter, told
from scorehouse.environment import read_settings

RETRIES, RETRY_SECONDS = 2, 60  # a store or registry that is being restarted


@flow(name="evidently_data_reporting", retries=RETRIES, retry_delay_seconds=RETRY_SECONDS, persist_result=False)
def evidently_data_reporting(minutes: int | None = None, until: datetime | None = None) -> None:
    """Report on `minutes` before `until`, for each run that answered; nothing to report is said.

    `until` is by default when the run was due, however late it starts: windows then follow each other without a gap.
    """
    settings = read_settings(os.environ)
    with reporter(settings) as made:
        span = made.span(minutes or settings.report_time_window_minutes, until or flow_run.scheduled_start_time)
        for report in made.report(span):
            get_run_logger().info(told(report))
