"""The stream door's own part of readiness."""

from __future__ import annotations

from pathlib import Path

from werkzeug.test import Client

from scorehouse.settings import Settings
from server.stream.main import build
from tests.unit.server.stream.fakes import model


def test_a_stream_that_was_not_read_yet_keeps_the_door_from_being_ready(tmp_path: Path) -> None:
    nowhere = {"kinesis_address": "http://127.0.0.1:9", "mlflow_address": "http://127.0.0.1:9"}
    process = build(Settings(data_folder=tmp_path, **nowhere))  # type: ignore[arg-type]
    ready = Client(process.health).get("/readyz")
    assert ready.status_code == 503
    assert ready.json is not None and ready.json["problem"].startswith("no model is loaded yet")
    process.scorer._serving.model = model()
    ready = Client(process.health).get("/readyz")
    assert ready.json is not None
    assert ready.json["problem"] == "the stream predictions has not been contacted yet"
    assert ready.json["shards"] == 0
    process.scorer._source.problem = None
    process.scorer._publisher.problem = "results: gone"
    ready = Client(process.health).get("/readyz")
    assert ready.json is not None and ready.json["problem"] == "results: gone"
    process.scorer._publisher.problem = None
    assert Client(process.health).get("/readyz").status_code == 200


def test_the_door_is_alive_only_while_its_heart_beats(tmp_path: Path) -> None:
    process = build(Settings(data_folder=tmp_path))
    assert Client(process.health).get("/healthz").status_code == 503
    process.heartbeat.pause(0)
    alive = Client(process.health).get("/healthz")
    assert alive.status_code == 200 and set(alive.json or {}) == {"seconds_since_heartbeat"}
