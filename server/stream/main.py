"""The stream door's composition root: what its one process is made of."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any

from scorehouse.bundles.cache import BundleCache
from scorehouse.errors import JournalError
from scorehouse.journal.journal import Journal
from scorehouse.journal.shipper import read_state
from scorehouse.registry.client import Registry
from scorehouse.serving.deployment import Deployment
from scorehouse.serving.serving import Serving
from scorehouse.settings import Settings
from scorehouse.streams.publisher import Publisher
from scorehouse.usecase import load_use_case
from server.stream.checkpoints import Checkpoints
from server.stream.client import kinesis_client
from server.stream.health import Health
from server.stream.heartbeat import MOST_SILENCE, Heartbeat, silence
from server.stream.scorer import StreamScorer
from server.stream.shards import Shards
from server.stream.source import Source

DOOR = "stream"


@dataclass(frozen=True, slots=True)
class StreamProcess:
    """The parts that the process starts: the loop, its pulse, what follows the registry, what its port answers."""

    scorer: StreamScorer
    pulse: Heartbeat
    deployment: Deployment
    health: Health


def build(settings: Settings) -> StreamProcess:
    """Return the parts. Raises CheckpointsHeld before anything else, where another process holds the stream."""
    folder, name = settings.stream_folder, settings.predictions_stream_name
    checkpoints = Checkpoints(folder / f"{name}.db")
    pulse = Heartbeat(folder / f"{name}.alive")
    use_case = load_use_case(settings.use_case)
    serving = Serving(use_case.name, DOOR, Journal(settings.journal_folder, DOOR))
    cache = BundleCache(settings.bundle_folder, Registry(settings.mlflow_address))
    deployment = Deployment(use_case, serving, cache, settings.run_id)
    client = kinesis_client(settings.kinesis_address, settings.aws_default_region)
    shards = Shards(client, name, checkpoints, time.monotonic, random.random)
    source = Source(client, name, shards, time.monotonic, random.random)
    publisher = Publisher(client, pulse.pause, random.random)
    streams = (name, settings.results_stream_name, settings.errors_stream_name)
    scorer = StreamScorer(use_case, serving, source, publisher, checkpoints, streams, pulse, time.monotonic)

    def alive() -> tuple[bool, dict[str, Any]]:
        seconds = silence(folder / f"{name}.alive")
        return seconds < MOST_SILENCE, {"seconds_since_heartbeat": round(seconds, 1)}

    def ready() -> tuple[bool, dict[str, Any]]:
        about = readiness(serving, deployment, source, publisher)
        return about["problem"] is None, {**about, **read_state(settings.journal_folder)}

    return StreamProcess(scorer, pulse, deployment, Health(alive, ready))


def readiness(serving: Serving, deployment: Deployment, source: Source, publisher: Publisher) -> dict[str, Any]:
    """Return what /readyz says; `problem` is the first thing that keeps the door from answering, or None."""
    model, status = serving.model, deployment.status
    problem = publisher.problem or source.problem
    try:
        serving.journal.check()
    except JournalError as error:
        problem = str(error)
    if model is None:
        problem = status.refused or "no model is loaded yet: set RUN_ID and run `make start-serve`"
    return {
        "status": "not ready" if problem else "ready",
        "problem": problem,
        "use_case": serving.use_case,
        "model_run_id": model.run_id if model else None,
        "refused": status.refused,
        "registry": status.registry,
        "shards": len(source.shards),
    }
