"""Schedules the report flow, which Prefect's worker runs: `python -m reporting.apply [--run]`.

With `--run` it also starts one report now; the last printed line is then the id of that flow run.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.deployments import run_deployment
from prefect.schedules import Cron, Interval

from scorehouse.environment import settings_or_exit

ROOT = Path(__file__).parents[1]
NAME = "evidently_data_reporting"
POOL = "scorehouse"
DAILY = "0 12 * * *"
DAY_MINUTES = 1440


def apply(minutes: int) -> str:
    """Create or update the deployment, which reports on the last `minutes` every `minutes` and daily; return its name.

    Nothing is built or pulled: the worker runs the code in its own image, which is at the same path as this file.
    """
    source: Any = flow.from_source(source=str(ROOT), entrypoint=f"reporting/flows.py:{NAME}")
    source.deploy(
        name=NAME,
        work_pool_name=POOL,
        schedules=[
            Interval(timedelta(minutes=minutes), parameters={"minutes": minutes}, slug="window"),
            Cron(DAILY, timezone="UTC", parameters={"minutes": DAY_MINUTES}, slug="daily"),
        ],
        concurrency_limit=1,
        build=False,
        push=False,
        print_next_steps=False,
    )
    return f"{NAME}/{NAME}"


def main() -> None:
    """Schedule reports, and start one with --run."""
    settings = settings_or_exit()
    name = apply(settings.report_time_window_minutes)
    sys.stdout.write(
        f"{name} runs every {settings.report_time_window_minutes} minutes and daily at 12:00 UTC in pool {POOL}\n"
    )
    if "--run" in sys.argv[1:]:
        until = datetime.now(UTC) + timedelta(minutes=1)  # so that answers of this minute are included
        parameters = {"until": until.isoformat()}
        started: Any = run_deployment(name, parameters=parameters, timeout=0, as_subflow=False)
        sys.stdout.write(f"{UUID(str(started.id))}\n")


if __name__ == "__main__":
    main()
