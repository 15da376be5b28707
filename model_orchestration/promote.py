"""Compares a run with the champion and promotes it if it wins: `python -m model_orchestration.promote [run id]`."""

from __future__ import annotations

import sys

from model_orchestration.promotion.comparison import Promotion
from model_orchestration.promotion.report import reason, report
from model_orchestration.tables.outcomes import training_table
from model_orchestration.tables.training_table import TrainingTable
from model_orchestration.training.configuration import tuned
from scorehouse.bundles.cache import BundleCache
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.registry.client import Registry
from scorehouse.settings import Settings
from scorehouse.usecase import UseCase, load_use_case


def compared(use_case: UseCase, settings: Settings, table: TrainingTable, run_id: str, promote: bool) -> str:
    """Judge `run_id` (the newest version if empty), promote it if told and it wins; return the report as Markdown.

    The report becomes an artifact of the run as well. Raises ScorehouseError: nothing was changed.
    """
    registry = Registry(settings.mlflow_address, timeout=30.0)
    cache = BundleCache(settings.bundle_folder, registry)
    promotion = Promotion(use_case, table, settings.split_seed, registry, cache)
    version = registry.version_of_run(use_case.name, run_id) if run_id else promotion.newest()
    verdict = promotion.judge(version)
    if promote:
        promotion.promote(verdict, reason(verdict), settings.changed_by or "promotion rule")
    told = report(use_case.title, verdict, promote)
    registry.put_artifact(version.run_id, "promotion/report.md", told.encode())
    return told


def main() -> None:
    """Compare, promote, print the report; status 1 and one line where it cannot be done."""
    settings = settings_or_exit()
    try:
        found = tuned(load_use_case(settings.use_case), settings)
        use_case, settings = found.use_case, found.settings
        table = training_table(use_case, settings)
        sys.stdout.write(compared(use_case, settings, table, "".join(sys.argv[1:2]), promote=True))
    except ScorehouseError as error:
        sys.exit(f"promote: {error}")


if __name__ == "__main__":
    main()
