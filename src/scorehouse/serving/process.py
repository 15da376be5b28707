"""What every door is made of, from the settings."""

from __future__ import annotations

from scorehouse.bundles.cache import BundleCache
from scorehouse.journal.journal import Journal, PredictionLog
from scorehouse.pages.loading import load_use_case
from scorehouse.serving.deployment import Deployment
from scorehouse.serving.serving import Serving
from scorehouse.settings import ServingSettings
from scorehouse.usecase import UseCase


def open_serving(
    settings: ServingSettings, door: str, log: PredictionLog | None = None
) -> tuple[UseCase, Serving, Deployment]:
    """Return the use case of `settings`, what answers its records, and what follows the registry.

    `door` names the process in metrics and in the journal. It writes its answers to `log`, or to this machine's
    journal if there is none. Nothing is loaded and nothing connects: `deployment.follow` or `deployment.poll` does.

    Raises:
        UseCaseError: there is no such use case.
    """
    use_case = load_use_case(settings.use_case)
    serving = Serving(use_case.name, door, log or Journal(settings.journal_folder, door))
    return use_case, serving, Deployment(use_case, serving, BundleCache.of(settings), settings.run_id)
