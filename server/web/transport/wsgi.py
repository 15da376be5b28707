"""A whole HTTP request, and what a WSGI application answers to it, as bytes."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from http.client import responses
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import httptools
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Headers = Iterable[tuple[str, str]]
_BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
_PLAIN_NAMES = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}


class Request:
    """One request. Its body ends one byte over the limit at most: who reads it refuses what is too large."""

    __slots__ = ("arrived", "body", "client", "headers", "keep_alive", "media", "method", "server", "target")

    def __init__(self, client: str, server: tuple[str, int]) -> None:
        """Begin with nothing read from `client`, an address; `server` is the one that it asked, with its port."""
        self.client, self.server = client, server
        self.method, self.target, self.media = b"", b"", b""
        self.body: bytes | bytearray = b""
        self.headers: list[tuple[bytes, bytes]] = []  # names in lower case
        self.keep_alive, self.arrived = True, 0.0


def environ(request: Request) -> dict[str, Any]:
    """Return the PEP 3333 environment of `request`. Raises httptools.HttpParserInvalidURLError."""
    url = httptools.parse_url(request.target)
    made: dict[str, Any] = {
        "REQUEST_METHOD": request.method.decode("ascii"),
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(url.path or b"/").decode("latin1"),
        "QUERY_STRING": (url.query or b"").decode("latin1"),
        "SERVER_NAME": request.server[0],
        "SERVER_PORT": str(request.server[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.client,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.input_terminated": True,  # a chunked body declares no length
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        if b"_" in name:  # would pass for the header with hyphens, which a proxy may have removed
            continue
        key = _PLAIN_NAMES.get(name) or "HTTP_" + name.decode("latin1").upper().replace("-", "_")
        text = value.decode("latin1")
        made[key] = f"{made[key]},{text}" if key in made else text
    return made


def answer(app: WSGIApplication, request: Request) -> bytes:
    """Return what `app` answers to `request`: a whole response."""
    given = Response.from_app(app, environ(request), buffered=True)
    body, status = given.get_data(), given.status_code
    headers = [h for h in given.headers if h[0].lower() not in ("content-length", "connection")]
    if status not in _BODILESS:
        headers.append(("Content-Length", str(len(body) if request.method != b"HEAD" else _declared(given))))
    return head(status, headers, request.keep_alive) + (body if request.method != b"HEAD" else b"")


def _declared(given: Response) -> int:
    return int(given.headers.get("Content-Length", 0))


def head(status: int, headers: Headers, keep_alive: bool) -> bytes:
    """Return a status line and headers, with the date, up to the body."""
    lines = [f"HTTP/1.1 {status} {responses.get(status, '')}", f"Date: {date()}", *(f"{k}: {v}" for k, v in headers)]
    if not keep_alive:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin1")


def date() -> str:
    """Return this second as HTTP writes it."""
    return _date(int(time()))


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
