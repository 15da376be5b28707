"""Starts the drift monitor: `python -m monitoring.evidently_service`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from datetime import timedelta
from threading import Event, Thread
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client.exposition import ThreadingWSGIServer

from monitoring.evidently_service.challenger import Shadow
from monitoring.evidently_service.retraining import Retraining
from monitoring.evidently_service.site.app import create_app
from monitoring.evidently_service.windows.cursor import MonitorFolder
from monitoring.evidently_service.windows.follower import Follower
from monitoring.evidently_service.windows.served import Served
from scorehouse.bundles.cache import BundleCache
from scorehouse.errors import ScorehouseError
from scorehouse.logs import start_logging
from scorehouse.prefect import Prefect
from scorehouse.registry.client import Registry
from scorehouse.registry.history import History
from scorehouse.settings import Settings, settings_or_exit
from scorehouse.stores.open import open_store
from scorehouse.usecase import load_use_case

log = logging.getLogger("monitoring.evidently_service")
RECENT_SECONDS = 3600.0


class _Handler(WSGIRequestHandler):
    timeout = 10.0  # a client that sends nothing holds its thread no longer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: whoever scrapes every few seconds is no news."""


def build(settings: Settings, stop: Event) -> tuple[Follower, Served, WSGIServer]:
    """Return what follows the log, what follows the registry, and what listens.

    Raises:
        ScorehouseError: something of it cannot be set up.
        OSError: the port is taken.
    """
    use_case = load_use_case(settings.use_case)
    registry = Registry(settings.mlflow_address)
    cache = BundleCache(settings.bundle_folder, registry)
    served = Served(use_case, cache, History(registry, use_case.name))
    folder = MonitorFolder(settings.monitor_folder / use_case.name)
    follower = Follower(use_case, open_store(settings), cache, folder, time.time)
    app = create_app(follower, served, use_case, settings, alive=lambda: not stop.is_set())
    server = make_server(settings.bind_address, settings.monitor_port, app, ThreadingWSGIServer, _Handler)
    return follower, served, server


def shadow(settings: Settings) -> Shadow:
    """Return the challenger, which begins where the monitor has read to, with a store of its own: a thread's."""
    use_case, folder = load_use_case(settings.use_case), settings.monitor_folder / settings.use_case
    cache = BundleCache(settings.bundle_folder, Registry(settings.mlflow_address))
    path = folder / f"shadow-{settings.shadow_run_id}.jsonl"
    return Shadow(
        use_case, open_store(settings), cache, settings.shadow_run_id, settings.shadow_share, path,
        MonitorFolder(folder).cursor(),
    )  # fmt: skip


def retraining(settings: Settings, follower: Follower, served: Served) -> Retraining:
    """Return what starts a training when the run that serves drifts."""
    prefect = Prefect(settings.prefect_api_url, settings.prefect_api_auth_string)
    cooldown = timedelta(minutes=settings.retrain_cooldown_minutes)

    def drifting() -> tuple[str, ...]:
        recent = (w for w in follower.watches if time.time() - w.traffic_at < RECENT_SECONDS)  # as the alert has it
        return next((w.confirmed for w in recent if w.run_id == served.run_id), ())

    return Retraining(settings.use_case, prefect, cooldown, drifting)


def main() -> None:
    """Follow until SIGTERM; what was read is saved by then. Whatever is not foreseen ends the process with status 1."""
    settings = settings_or_exit()
    start_logging(settings.log_level)
    stop = Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stop.set())
    try:
        follower, served, server = build(settings, stop)
    except (ScorehouseError, OSError) as error:
        sys.exit(f"monitor: {error}")
    os.nice(10)  # on a busy machine the scorers come first: what is read late is not lost
    Thread(target=server.serve_forever, name="page", daemon=True).start()
    served.follow(stop)
    if settings.shadow_run_id:
        shadow(settings).follow(stop)
    if settings.retrain_on_drift:
        retraining(settings, follower, served).follow(stop)
    log.info("watching %s on port %d", settings.use_case, settings.monitor_port)
    follower.run(stop)


if __name__ == "__main__":
    main()
