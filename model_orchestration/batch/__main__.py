"""Scores a day's applications now: `python -m model_orchestration.batch 2026-11-20`; yesterday's if no day is given.

As a flow where there is a Prefect server (PREFECT_API_URL) or a Dask cluster; in this process alone where not.
"""

from __future__ import annotations

import os
import sys

from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.logs import start_logging
from scorehouse.settings import Settings


def main() -> None:
    """Score, and end with status 1 and the reason when it cannot be done."""
    settings, day = settings_or_exit(), "".join(sys.argv[1:2]) or None
    start_logging(settings.log_level)
    try:
        flows = settings.dask_scheduler_address or os.environ.get("PREFECT_API_URL")
        sys.stdout.write(f"{_as_a_flow(day) if flows else _alone(settings, day)}\n")
    except ScorehouseError as error:
        sys.exit(f"score-batch: {error}")


def _alone(settings: Settings, day: str | None) -> str:
    from model_orchestration.batch.run import score

    return str(score(settings, day, lambda words: sys.stderr.write(f"{words}\n")))


def _as_a_flow(day: str | None) -> str:
    os.environ.setdefault("DO_NOT_TRACK", "1")  # a server that Prefect starts for this run alone says nothing of it,
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")  # and has time on a busy machine
    from model_orchestration.batch.flow import score_batch

    return score_batch(day)


if __name__ == "__main__":
    main()
