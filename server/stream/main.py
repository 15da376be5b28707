"""The stream door's composition root: what its one process is made of."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any

from scorehouse.journal.shipper import read_state
from scorehouse.serving.deployment import Deployment
from scorehouse.serving.health import Health
from scorehouse.serving.process import open_serving
from scorehouse.serving.readiness import readiness
from scorehouse.settings import Settings
from scorehouse.streams.publisher import Publisher
from server.stream.checkpoints import Checkpoints
from server.stream.client import kinesis_client
from server.stream.heartbeat import MOST_SILENCE, Heartbeat, silence
from server.stream.scorer import StreamScorer
from server.stream.shards import Shards
from server.stream.source import Source

DOOR = "stream"


@dataclass(frozen=True, slots=True)
class StreamProcess:
    """The parts that the process starts: the loop, its heartbeat, what follows the registry, what its port answers."""

    scorer: StreamScorer
    heartbeat: Heartbeat
    deployment: Deployment
    health: Health


def build(settings: Settings) -> StreamProcess:
    """Return the parts. Raises CheckpointsHeld before anything else, if another process holds the stream."""
    stream, name = settings.stream, settings.predictions_stream_name
    checkpoints = Checkpoints(stream.checkpoints_path)
    heartbeat = Heartbeat(stream.heartbeat_path)
    use_case, serving, deployment = open_serving(settings.serving, DOOR)
    client = kinesis_client(settings.kinesis_address, settings.aws_default_region)
    shards = Shards(client, name, checkpoints, time.monotonic, random.random)
    source = Source(client, name, shards, time.monotonic, random.random)
    publisher = Publisher(client, heartbeat.pause, random.random)
    streams = (name, stream.results_stream_name, stream.errors_stream_name)
    scorer = StreamScorer(use_case, serving, source, publisher, checkpoints, streams, heartbeat, time.monotonic)

    def alive() -> tuple[bool, dict[str, Any]]:
        seconds = silence(stream.heartbeat_path)
        return seconds < MOST_SILENCE, {"seconds_since_heartbeat": round(seconds, 1)}

    def ready() -> dict[str, Any]:
        about = readiness(serving, deployment.status, publisher.problem or source.problem)
        return {**about, "shards": len(source.shards), **read_state(stream.journal_folder)}

    return StreamProcess(scorer, heartbeat, deployment, Health(ready, alive))
