"""The stream scorer's own port: /metrics, /healthz and /readyz."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import orjson
from prometheus_client import make_wsgi_app

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Check = Callable[[], tuple[bool, dict[str, Any]]]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 10.0  # a client that sends nothing holds its thread no longer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: whoever scrapes every few seconds is no news."""


class Health:
    """A WSGI application: Prometheus's own, and a check each for alive and ready, which return 200 or 503."""

    def __init__(self, alive: Check, ready: Check):
        """Ask `alive` and `ready` anew at each request."""
        self._metrics, self._checks = make_wsgi_app(), {"/healthz": alive, "/readyz": ready}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        if path == "/metrics":
            body: Iterable[bytes] = self._metrics(environ, start_response)
            return body
        check = self._checks.get(path)
        if check is None:
            status, about = HTTPStatus.NOT_FOUND, {"status": "there are /metrics, /healthz and /readyz"}
        else:
            well, about = check()
            status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
        return [orjson.dumps(about)]


def listen(address: str, port: int, application: Health) -> WSGIServer:
    """Answer on `address` and `port` in threads of their own. Raises OSError where the port is taken."""
    server = make_server(address, port, application, _Server, _Handler)
    Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
