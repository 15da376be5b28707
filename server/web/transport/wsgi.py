"""A complete HTTP request, and the answer of a WSGI application to it, as bytes."""

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
    """One request. Its body may exceed the limit by one byte, so that its reader can refuse what is too large."""

    __slots__ = ("arrived", "body", "client", "headers", "keep_alive", "media", "method", "server", "target")

    def __init__(self, client: str, server: tuple[str, int]) -> None:
        """Start with nothing read from the address `client`; `server` is the address and port that it asked."""
        self.client = client
        self.server = server
        self.method = b""
        self.target = b""
        self.media = b""
        self.body: bytes | bytearray = b""
        self.headers: list[tuple[bytes, bytes]] = []  # names in lower case
        self.keep_alive = True
        self.arrived = 0.0


def environ(request: Request) -> dict[str, Any]:
    """Return the PEP 3333 environment of `request`. Raises httptools.HttpParserInvalidURLError."""
    url = httptools.parse_url(request.target)
    variables: dict[str, Any] = {
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
        if b"_" in name:  # it would look like the header with hyphens, which a proxy may have removed
            continue
        key = _PLAIN_NAMES.get(name) or "HTTP_" + name.decode("latin1").upper().replace("-", "_")
        text = value.decode("latin1")
        variables[key] = f"{variables[key]},{text}" if key in variables else text
    return variables


def answer(app: WSGIApplication, request: Request) -> bytes:
    """Return the complete response of `app` to `request`."""
    response = Response.from_app(app, environ(request), buffered=True)
    body = response.get_data()
    status = response.status_code
    headers = [h for h in response.headers if h[0].lower() not in ("content-length", "connection")]
    if status not in _BODILESS:
        headers.append(("Content-Length", str(len(body) if request.method != b"HEAD" else _declared(response))))
    return head(status, headers, request.keep_alive) + (body if request.method != b"HEAD" else b"")


def _declared(response: Response) -> int:
    return int(response.headers.get("Content-Length", 0))


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
