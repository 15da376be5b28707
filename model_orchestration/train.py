"""Trains once, now: `python -m model_orchestration.train`. Its standard output is the best run's id, nothing else."""

from __future__ import annotations

import sys

from model_orchestration.flows import model_tuning_and_uploading
from scorehouse.errors import ScorehouseError


def main() -> None:
    """Run the flow in this process. If it fails, end with status 1 and one line that says why."""
    try:
        run_id = model_tuning_and_uploading()
    except ScorehouseError as error:
        sys.exit(f"training: {error}")
    sys.stdout.write(f"{run_id}\n")


if __name__ == "__main__":
    main()
