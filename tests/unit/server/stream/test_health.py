"""The scorer's own port: metrics, alive, ready."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from werkzeug.test import Client

from scorehouse.bundles.cache import BundleCache
from scorehouse.errors import JournalError
from scorehouse.journal.journal import Journal
from scorehouse.registry.client import Registry
from scorehouse.serving.deployment import Deployment
from scorehouse.serving.serving import Serving
from scorehouse.streams.publisher import Publisher
from scorehouse.usecase import load_use_case
from server.stream.checkpoints import Checkpoints
from server.stream.health import Health
from server.stream.main import readiness
from server.stream.shards import Shards
from server.stream.source import Source
from tests.unit.server.stream.fakes import Clock, FakeKinesis, model


def get(path: str, alive: bool = True, ready: bool = True) -> tuple[int, Any]:
    """Return status and body of a GET."""
    answer = Client(Health(lambda: (alive, {"a": 1}), lambda: (ready, {"r": 2}))).get(path)
    return answer.status_code, answer.data


def test_alive_and_ready_say_so_in_their_status() -> None:
    assert get("/healthz") == (200, b'{"a":1}')
    assert get("/healthz", alive=False)[0] == 503
    assert get("/readyz") == (200, b'{"r":2}')
    assert get("/readyz", ready=False)[0] == 503


def test_metrics_are_prometheus_own() -> None:
    status, body = get("/metrics")
    assert status == 200
    assert b"# TYPE scorehouse_stream_milliseconds_behind gauge" in body


def test_another_path_says_what_there_is() -> None:
    status, body = get("/")
    assert status == 404
    assert "/metrics" in orjson.loads(body)["status"]


class Parts:
    """What readiness looks at: all of it well."""

    def __init__(self, folder: Path):
        """Make the parts; read once, so that the source has found its stream."""
        kinesis, clock = FakeKinesis(), Clock()
        case = load_use_case("churn")
        self.serving = Serving("churn", "stream", Journal(folder / "journal", "stream"))
        self.serving.model = model()
        cache = BundleCache(folder / "bundles", Registry("http://127.0.0.1:9"))
        self.deployment = Deployment(case, self.serving, cache)
        shards = Shards(kinesis, "predictions", Checkpoints(folder / "predictions.db"), clock, lambda: 0.0)
        self.source = Source(kinesis, "predictions", shards, clock, lambda: 0.0)
        self.publisher = Publisher(kinesis, lambda _: False, lambda: 0.0)
        self.source.read()
        self.source.read()

    def ready(self) -> dict[str, Any]:
        """Return what /readyz would say."""
        return readiness(self.serving, self.deployment, self.source, self.publisher)


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(tmp_path)


def test_ready_with_a_model_a_journal_and_the_streams(parts: Parts) -> None:
    about = parts.ready()
    assert (about["status"], about["problem"], about["shards"]) == ("ready", None, 1)
    assert about["model_run_id"] == "run-1"


def test_not_ready_names_the_first_thing_that_is_missing(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise JournalError("the disk is full")

    parts.source.problem = "predictions: gone"
    assert parts.ready()["problem"] == "predictions: gone"
    parts.publisher.problem = "results: gone"
    assert parts.ready()["problem"] == "results: gone"
    monkeypatch.setattr(parts.serving.journal, "check", full)
    assert parts.ready()["problem"] == "the disk is full"
    parts.serving.model = None
    about = parts.ready()
    assert about["problem"].startswith("no model is loaded yet")
    assert about["status"] == "not ready"
