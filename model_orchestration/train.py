"""Trains once, now: `python -m model_orchestration.train`. Its standard output is the best run's id, nothing else."""

from __future__ import annotations

import sys

from model_orchestration.tables.outcomes import read_training_table
from model_orchestration.training.configuration import tune_run
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.pages.loading import load_use_case


def main() -> None:
    """Check the table, then run the flow in this process. If it fails, end with status 1 and one line that says why."""
    settings = settings_or_exit()
    try:
        run = tune_run(load_use_case(settings.use_case), settings)
        table = read_training_table(run.use_case, run.settings)
        # Prefect, MLflow and the model families take many times as long to import as a table takes to be refused.
        from model_orchestration.flows import train

        run_id = train(run, table)
    except ScorehouseError as error:
        sys.exit(f"training: {error}")
    sys.stdout.write(f"{run_id}\n")


if __name__ == "__main__":
    main()
