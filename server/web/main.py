"""The HTTP door's composition root: what each worker process is made of."""

from __future__ import annotations

import sys
from threading import Event

import numpy as np
from flask import Flask

from scorehouse.access import Access, open_access
from scorehouse.environment import settings_or_exit
from scorehouse.logs import start_logging
from scorehouse.serving.deployment import Deployment
from scorehouse.serving.process import open_serving
from scorehouse.serving.serving import Serving
from scorehouse.settings import Settings
from scorehouse.usecase import UseCase
from server.web.api.app import create_api
from server.web.site.routes import add_pages
from server.web.transport.dispatch import Dispatcher
from server.web.transport.microbatch import MicroBatcher

DOOR = "http"
SWITCH_SECONDS = (
    0.0005  # a thread with a page releases the interpreter after it; Python's default of 5 ms delays each record
)


def build() -> Dispatcher:
    """Return the door of one worker; a thread loads the model and follows the registry."""
    settings = settings_or_exit()
    sys.setswitchinterval(SWITCH_SECONDS)
    start_logging(settings.log_level)
    use_case, serving, deployment = open_serving(settings.serving, DOOR)
    deployment.follow(Event())
    app = create_app(use_case, serving, deployment, settings)
    access = open_access(settings, settings.http.origins)
    if settings.grpc_port:
        _start_grpc(serving, deployment, settings, access)
    return Dispatcher(app.wsgi_app, MicroBatcher(serving), access, settings.max_body_bytes, settings.scorer_threads)


def _start_grpc(serving: Serving, deployment: Deployment, settings: Settings, access: Access) -> None:
    from server.web.rpc.service import GrpcDoor, GrpcError, start  # grpcio takes .2 s to import

    door = GrpcDoor(serving, deployment, settings.http, access)
    address = f"{settings.bind_address}:{settings.grpc_port}"
    try:
        start(door, address, settings.scorer_threads, settings.max_body_bytes)
    except GrpcError as error:
        sys.exit(str(error))


def create_app(use_case: UseCase, serving: Serving, deployment: Deployment, settings: Settings) -> Flask:
    """Return the Flask application of one door: the API, and the pages for people."""
    app = create_api(serving, deployment, settings.http)
    add_pages(app, use_case, serving, deployment, settings.http, np.random.default_rng())
    return app
