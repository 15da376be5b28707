"""Schedules the report flow for Prefect's worker, from the code beside it: `python -m reporting.apply [--run]`.

With `--run` it also starts one report now; the last line it prints is then that flow run's id.
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
DAILY, DAY_MINUTES = "0 12 * * *", 1440


def apply(minutes: int) -> str:
    """Make or change the deployment: the last `minutes` every `minutes`, the last day at 12:00 UTC; return its name.

    Nothing is built or pulled: the worker runs the code that lies in its own image, at the same path as this.
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
    """Schedule, and with --run start one report."""
    settings = settings_or_exit()
    name = apply(settings.report_time_window_minutes)
    sys.stdout.write(
        f"{name} runs every {settings.report_time_window_minutes} minutes and daily at 12:00 UTC in pool {POOL}\n"
    )
    if "--run" in sys.argv[1:]:
        until = datetime.now(UTC) + timedelta(minutes=1)  # what was answered a moment ago is in it
        asked = {"until": until.isoformat()}
        started: Any = run_deployment(name, parameters=asked, timeout=0, as_subflow=False)
        sys.stdout.write(f"{UUID(str(started.id))}\n")


if __name__ == "__main__":
    main()
