"""The Lambda door's composition root, and the function that Lambda calls: `server.aws_lambda.main.handler`."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from scorehouse.bundles.cache import load_packed
from scorehouse.bundles.signatures import Trust
from scorehouse.environment import read_settings
from scorehouse.errors import SettingError
from scorehouse.logs import start_logging
from scorehouse.serving.deployment import Deployment, Status
from scorehouse.serving.process import open_serving
from scorehouse.serving.serving import Model, Serving
from scorehouse.settings import Settings
from scorehouse.stores.open import open_store
from scorehouse.streams.publisher import Publisher
from scorehouse.usecase import UseCase
from server.aws_lambda.door import LambdaDoor, Sleep
from server.aws_lambda.stored import Forgotten, StoredAtOnce
from server.stream.client import kinesis_client

DOOR = "lambda"
WRITABLE = "/tmp/scorehouse"  # noqa: S108 - the only folder that a function may write to
POLL_SECONDS = 60.0  # a warm process follows a deployment this much later


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Score one batch of a Kinesis trigger; the first call of a process loads the model, once."""
    return door().handle(event, lambda: context.get_remaining_time_in_millis() / 1000)


@cache
def door() -> LambdaDoor:
    """Return this process's door. Raises SettingError, BundleError: the next call tries again."""
    settings = read_settings({"DATA_FOLDER": WRITABLE, **os.environ})
    start_logging(settings.log_level)
    return build(settings)


def build(settings: Settings, clock: Callable[[], float] = time.monotonic) -> LambdaDoor:
    """Return the door that `settings` describe. Raises SettingError, BundleError."""
    if not (settings.mongodb_address or settings.test_run):  # the function's own disk is deleted with its instance
        raise SettingError(
            "MONGODB_ADDRESS is empty, so the Lambda door could not keep its predictions: set it to mongodb://… of the "
            "prediction store, or set TEST_RUN=true to store and publish nothing"
        )
    log = Forgotten() if settings.test_run else StoredAtOnce(open_store(settings.store))
    use_case, serving, deployment = open_serving(settings.serving, DOOR, log)
    client = None if settings.test_run else kinesis_client(settings.kinesis_address, settings.aws_default_region)

    def publisher(sleep: Sleep) -> Publisher:
        return Publisher(client, sleep, random.random)

    return LambdaDoor(
        use_case,
        serving,
        _serve_packed(Path(settings.packed_bundle), Trust.of(settings), use_case, serving)
        if settings.packed_bundle
        else _follow(serving, deployment, clock),
        publisher if client else None,
        (settings.results_stream_name, settings.errors_stream_name),
        settings.report_unscorable,
        time.sleep,
    )


def _serve_packed(folder: Path, trust: Trust, use_case: UseCase, serving: Serving) -> Callable[[], Status]:
    """Serve the bundle that was packed with the code; nothing is left to poll. Raises BundleError."""
    packed, _ = load_packed(folder, trust)
    serving.model = Model(packed, packed.scorer(use_case))
    return Status


def _follow(serving: Serving, deployment: Deployment, clock: Callable[[], float]) -> Callable[[], Status]:
    """Serve what RUN_ID or the registry's alias names, and poll again once a minute."""
    due = clock()

    def poll() -> Status:
        nonlocal due
        if serving.model is None or clock() >= due:
            deployment.poll()
            due = clock() + POLL_SECONDS
        return deployment.status

    return poll
