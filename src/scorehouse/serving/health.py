"""A port of its own for a door that does not speak HTTP: /metrics, /healthz and /readyz."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import orjson
from prometheus_client import make_wsgi_app

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def _always_alive() -> tuple[bool, dict[str, Any]]:
    return True, {"status": "alive"}


class Health:
    """A WSGI application: Prometheus's own for /metrics; /healthz and /readyz answer 200, or else 503."""

    def __init__(
        self, ready: Callable[[], dict[str, Any]], alive: Callable[[], tuple[bool, dict[str, Any]]] = _always_alive
    ):
        """Both are asked at each request: `ready` returns what `readiness` does, `alive` whether, and what to say."""
        self._metrics = make_wsgi_app()
        self._ready = ready
        self._alive = alive

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        if path == "/metrics":
            body: Iterable[bytes] = self._metrics(environ, start_response)
            return body
        status, about = self._check(path)
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
        return [orjson.dumps(about)]

    def _check(self, path: str) -> tuple[HTTPStatus, dict[str, Any]]:
        if path == "/healthz":
            good, about = self._alive()
        elif path == "/readyz":
            about = self._ready()
            good = about["problem"] is None
        else:
            return HTTPStatus.NOT_FOUND, {"status": "there is no such path: use /metrics, /healthz or /readyz"}
        return HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE, about
