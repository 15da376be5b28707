"""Starts the drift monitor: `python -m monitoring.evidently_service`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from datetime import timedelta
from threading import Event

from monitoring.evidently_service.challenger import Challenger
from monitoring.evidently_service.drift.verdict import drift_rule
from monitoring.evidently_service.retraining import Retraining, warn_of_same_models
from monitoring.evidently_service.site.app import create_app
from monitoring.evidently_service.windows.cursor import MonitorFolder
from monitoring.evidently_service.windows.follower import Follower
from monitoring.evidently_service.windows.served import Served
from scorehouse.access import open_access
from scorehouse.bundles.cache import BundleCache
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.logs import start_logging
from scorehouse.pages.loading import load_use_case
from scorehouse.prefect import Prefect
from scorehouse.registry.client import Registry
from scorehouse.registry.history import History
from scorehouse.settings import RetrainingSettings, Settings
from scorehouse.stores.open import open_store
from scorehouse.wsgi_server import WsgiServer

log = logging.getLogger("monitoring.evidently_service")
RECENT_SECONDS = 3600.0


def build(settings: Settings, stop: Event) -> tuple[Follower, Served, WsgiServer]:
    """Return the follower of the prediction log, the follower of the registry, and the server, which listens.

    Raises:
        ScorehouseError: one of them cannot be set up.
        OSError: the port is taken.
    """
    use_case = load_use_case(settings.use_case)
    registry = Registry.of(settings)
    cache = BundleCache.of(settings, registry)
    served = Served(use_case, cache, History(registry, use_case.name))
    folder = MonitorFolder(settings.monitor_folder / use_case.name)
    rule = drift_rule(settings.drift_window_hours)
    follower = Follower(use_case, open_store(settings.store), cache, folder, time.time, rule)
    app = create_app(follower, served, use_case, settings, alive=lambda: not stop.is_set())
    return follower, served, WsgiServer(app, settings.bind_address, settings.monitor_port, open_access(settings))


def open_challenger(settings: Settings) -> Challenger:
    """Return the challenger, which begins where the monitor has read to. Its thread needs a store of its own."""
    use_case = load_use_case(settings.use_case)
    folder = settings.monitor_folder / settings.use_case
    cache = BundleCache.of(settings)
    path = folder / f"shadow-{settings.shadow_run_id}.jsonl"
    return Challenger(
        use_case, open_store(settings.store), cache, settings.shadow_run_id, settings.shadow_share, path,
        MonitorFolder(folder).cursor(),
    )  # fmt: skip


def open_retraining(use_case: str, settings: RetrainingSettings, follower: Follower, served: Served) -> Retraining:
    """Return what starts a training when the serving run drifts."""
    prefect = Prefect(settings.prefect_api_url, settings.prefect_api_auth_string)
    cooldown = timedelta(minutes=settings.retrain_cooldown_minutes)

    def drifting() -> tuple[str, ...]:
        recent = (w for w in follower.watches if time.time() - w.traffic_at < RECENT_SECONDS)  # as in the alert
        return next((w.confirmed for w in recent if w.run_id == served.run_id), ())

    return Retraining(use_case, prefect, cooldown, drifting)


def main() -> None:
    """Follow the prediction log until SIGTERM; what was read is saved after each poll."""
    settings = settings_or_exit()
    start_logging(settings.log_level)
    stop = Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stop.set())
    try:
        follower, served, server = build(settings, stop)
    except (ScorehouseError, OSError) as error:
        sys.exit(f"monitor: {error}")
    os.nice(10)  # on a busy machine the scorers come first: what is read late is not lost
    server.start("page")
    served.follow(stop)
    if settings.shadow_run_id:
        open_challenger(settings).follow(stop)
    warn_of_same_models(settings)
    if settings.retrain_on_drift:
        open_retraining(settings.use_case, settings.retraining, follower, served).follow(stop)
    log.info("watching %s on port %d", settings.use_case, settings.monitor_port)
    try:
        follower.run(stop)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
