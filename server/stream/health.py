"""The stream scorer's own port: /metrics, /healthz and /readyz."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import orjson
from prometheus_client import make_wsgi_app

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Check = Callable[[], tuple[bool, dict[str, Any]]]


class Health:
    """A WSGI application: Prometheus's own page, and one check each for alive and ready, answered by 200 or 503."""

    def __init__(self, alive: Check, ready: Check):
        """Call `alive` or `ready` for each request to their path."""
        self._metrics = make_wsgi_app()
        self._checks = {"/healthz": alive, "/readyz": ready}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        if path == "/metrics":
            page: Iterable[bytes] = self._metrics(environ, start_response)
            return page
        check = self._checks.get(path)
        if check is None:
            status, about = HTTPStatus.NOT_FOUND, {"status": "no such path: use /metrics, /healthz or /readyz"}
        else:
            well, about = check()
            status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
        answer = orjson.dumps(about)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
        start_response(f"{status.value} {status.phrase}", headers)
        return [answer]
