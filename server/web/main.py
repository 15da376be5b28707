"""The HTTP door's composition root: what each worker process is made of."""

from __future__ import annotations

from threading import Event

from scorehouse.bundle_cache import BundleCache
from scorehouse.deployment import Deployment
from scorehouse.journal import Journal
from scorehouse.logs import start_logging
from scorehouse.registry import Registry
from scorehouse.serving import Serving
from scorehouse.settings import settings_or_exit
from scorehouse.usecase import load_use_case
from server.web.app import create_app
from server.web.door import Door
from server.web.singles import Singles

DOOR = "http"


def build() -> Door:
    """Return the door of one worker; its model is loaded, and followed, by a thread of its own."""
    settings = settings_or_exit()
    start_logging(settings.log_level)
    use_case = load_use_case(settings.use_case)
    serving = Serving(use_case.name, DOOR, Journal(settings.journal_folder, DOOR))
    cache = BundleCache(settings.bundle_folder, Registry(settings.mlflow_address))
    deployment = Deployment(use_case, serving, cache, settings.run_id)
    deployment.follow(Event())
    app = create_app(serving, deployment, settings)
    return Door(app.wsgi_app, Singles(serving), settings.max_body_bytes, settings.scorer_threads)
