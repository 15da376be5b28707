"""The HTTP door's composition root: what each worker process is made of."""

from __future__ import annotations

from threading import Event

import numpy as np
from flask import Flask

from scorehouse.bundles.cache import BundleCache
from scorehouse.environment import settings_or_exit
from scorehouse.journal.journal import Journal
from scorehouse.logs import start_logging
from scorehouse.registry.client import Registry
from scorehouse.serving.deployment import Deployment
from scorehouse.serving.serving import Serving
from scorehouse.settings import Settings
from scorehouse.usecase import load_use_case
from server.web.api.app import create_api
from server.web.site.routes import add_pages
from server.web.transport.dispatch import Dispatcher
from server.web.transport.microbatch import MicroBatcher

DOOR = "http"


def build() -> Dispatcher:
    """Return the door of one worker; its model is loaded, and followed, by a thread of its own."""
    settings = settings_or_exit()
    start_logging(settings.log_level)
    use_case = load_use_case(settings.use_case)
    serving = Serving(use_case.name, DOOR, Journal(settings.journal_folder, DOOR))
    cache = BundleCache(settings.bundle_folder, Registry(settings.mlflow_address))
    deployment = Deployment(use_case, serving, cache, settings.run_id)
    deployment.follow(Event())
    app = create_app(serving, deployment, settings)
    return Dispatcher(app.wsgi_app, MicroBatcher(serving), settings.max_body_bytes, settings.scorer_threads)


def create_app(serving: Serving, deployment: Deployment, settings: Settings) -> Flask:
    """Return the Flask application of one door: the API, and the pages for people."""
    app = create_api(serving, deployment, settings)
    add_pages(app, serving, deployment, settings, np.random.default_rng())
    return app
