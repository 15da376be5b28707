"""A port of its own: metrics, alive, ready."""

from __future__ import annotations

from typing import Any

import orjson
from werkzeug.test import Client

import scorehouse.metrics  # noqa: F401 - declares what /metrics shows
from scorehouse.serving.health import Health


def get(path: str, alive: bool = True, problem: str | None = None) -> tuple[int, Any]:
    """Return status and body of a GET."""
    health = Health(lambda: {"problem": problem}, lambda: (alive, {"a": 1}))
    answer = Client(health).get(path)
    return answer.status_code, answer.data


def test_alive_and_ready_say_so_in_their_status() -> None:
    assert get("/healthz") == (200, b'{"a":1}')
    assert get("/healthz", alive=False)[0] == 503
    assert get("/readyz") == (200, b'{"problem":null}')
    assert get("/readyz", problem="the disk is full") == (503, b'{"problem":"the disk is full"}')


def test_a_process_that_answers_at_all_is_alive_unless_it_says_otherwise() -> None:
    answer = Client(Health(lambda: {"problem": "no model"})).get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "alive"})


def test_metrics_are_prometheus_own() -> None:
    status, body = get("/metrics")
    assert status == 200
    assert b"# TYPE scorehouse_stream_milliseconds_behind gauge" in body


def test_another_path_names_the_paths_that_there_are() -> None:
    status, body = get("/")
    assert status == 404
    assert orjson.loads(body)["status"] == "there is no such path: use /metrics, /healthz or /readyz"
