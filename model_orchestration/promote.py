"""Compares a run with the champion and promotes it if it wins: `python -m model_orchestration.promote [run id]`."""

from __future__ import annotations

import sys

from model_orchestration.promotion.comparison import Promotion
from model_orchestration.promotion.lock import PromotionLock
from model_orchestration.promotion.report import summarize, write_report
from model_orchestration.tables.outcomes import read_training_table
from model_orchestration.tables.training_table import TrainingTable
from model_orchestration.training.configuration import tune_run
from scorehouse.bundles.cache import BundleCache
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.pages.loading import load_use_case
from scorehouse.registry.client import Registry
from scorehouse.settings import Settings
from scorehouse.usecase import UseCase


def judge_and_promote(
    use_case: UseCase, settings: Settings, table: TrainingTable, run_id: str, by_person: bool | None
) -> str:
    """Judge `run_id`, or the newest run if it is empty, and promote it if it wins.

    `by_person` says who promotes: a person, the rule alone (False), which may do less, or nobody (None). One promotion
    of a use case runs at a time. Return the report as Markdown, which is also stored as an artifact of the run.

    Raises:
        ScorehouseError: the run cannot be judged, or an alias was moved meanwhile. No alias was moved here.
    """
    registry = Registry.of(settings, timeout=30.0)
    cache = BundleCache.of(settings, registry)
    promotion = Promotion(use_case, table, settings.split_seed, registry, cache, settings.promote_confidence)
    version = registry.version_of_run(use_case.name, run_id or registry.newest(use_case.name))
    lock = PromotionLock(registry, use_case.name)
    with lock.acquire():
        verdict = promotion.judge(version)
        if by_person is not None:
            who = settings.changed_by or "promotion rule"
            promotion.promote(verdict, summarize(verdict), who, by_person, lock.check)
    report = write_report(use_case.title, verdict, by_person)
    registry.put_artifact(version.run_id, "promotion/report.md", report.encode())
    return report


def main() -> None:
    """Compare, promote and print the report. If that fails, end with status 1 and one line that says why."""
    settings = settings_or_exit()
    try:
        run = tune_run(load_use_case(settings.use_case), settings)
        table = read_training_table(run.use_case, run.settings)
        run_id = "".join(sys.argv[1:2])
        sys.stdout.write(judge_and_promote(run.use_case, run.settings, table, run_id, by_person=True))
    except ScorehouseError as error:
        sys.exit(f"promote: {error}")


if __name__ == "__main__":
    main()
