"""Scores a day's applications now: `python -m model_orchestration.batch 2026-11-20`. Without a day: yesterday's.

It runs as a Prefect flow if there is a Prefect server (PREFECT_API_URL) or a Dask cluster, and otherwise in this
process alone.
"""

from __future__ import annotations

import os
import sys

from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.logs import start_logging
from scorehouse.settings import Settings


def main() -> None:
    """Score and print the report. If that fails, end with status 1 and the reason."""
    settings = settings_or_exit()
    day = "".join(sys.argv[1:2]) or None
    start_logging(settings.log_level)
    needs_prefect = settings.dask_scheduler_address or os.environ.get("PREFECT_API_URL")
    try:
        report = _score_in_flow(day) if needs_prefect else _score_alone(settings, day)
    except ScorehouseError as error:
        sys.exit(f"score-batch: {error}")
    sys.stdout.write(f"{report}\n")


def _score_alone(settings: Settings, day: str | None) -> str:
    from model_orchestration.batch.run import score

    return str(score(settings, day, lambda line: sys.stderr.write(f"{line}\n")))


def _score_in_flow(day: str | None) -> str:
    # Prefect may start a server for this run alone. It must not send usage data, and may take long on a busy machine.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    from model_orchestration.batch.flow import score_batch

    return score_batch(day)


if __name__ == "__main__":
    main()
