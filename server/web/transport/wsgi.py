"""What a WSGI application answers to a whole request that uvicorn has read."""

from __future__ import annotations

import io
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_to_bytes

from werkzeug.wrappers import Response

from server.web.api.app import CALLER

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Scope = Any  # of an HTTP request in ASGI
_BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
_PLAIN_NAMES = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}


class WsgiAnswer(NamedTuple):
    """A status, headers with the body's length, and the body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def environ(scope: Scope, body: bytes | bytearray, caller: str | None = None) -> dict[str, Any]:
    """Return the PEP 3333 environment of a request."""
    host, port = scope["server"] or ("", 0)
    variables: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin1"),
        "QUERY_STRING": scope["query_string"].decode("latin1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": (scope["client"] or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,  # a chunked body declares no length
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        CALLER: caller,
    }
    for name, value in scope["headers"]:
        if b"_" in name:  # it would look like the header with hyphens, which a proxy may have removed
            continue
        key = _PLAIN_NAMES.get(name) or "HTTP_" + name.decode("latin1").upper().replace("-", "_")
        text = value.decode("latin1")
        variables[key] = f"{variables[key]},{text}" if key in variables else text
    variables.setdefault("CONTENT_LENGTH", str(len(body)))
    return variables


def answer(app: WSGIApplication, asked: dict[str, Any]) -> WsgiAnswer:
    """Return the complete response of `app` to the environment `asked`."""
    response = Response.from_app(app, asked, buffered=True)
    body = response.get_data()
    headers = [(k.encode("latin1"), v.encode("latin1")) for k, v in response.headers if k.lower() != "content-length"]
    if response.status_code not in _BODILESS:
        length = len(body) if asked["REQUEST_METHOD"] != "HEAD" else int(response.headers.get("Content-Length", 0))
        headers.append((b"content-length", b"%d" % length))
    return WsgiAnswer(response.status_code, headers, body)
