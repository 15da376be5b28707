"""Bytes to whole HTTP/1.1 requests, within limits (docs/adr/0003)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from time import perf_counter
from typing import Any

import httptools

from server.web.api.problems import Problem
from server.web.transport.wsgi import Request

log = logging.getLogger(__name__)

MOST_HEAD = 64 * 1024  # bytes of a request line and its headers
DRAINED = 16  # times the body's limit: so much is read, because a client that is cut off never reads why
_OF_AN_UPGRADE = (b"connection", b"upgrade", b"http2-settings")


class Reader:
    """Reads what one client sends. httptools parses it, and calls the methods named `on_…`."""

    def __init__(
        self,
        client: str,
        server: tuple[str, int],
        most: int,
        on_request: Callable[[Request], None],
        send_continue: Callable[[], None],
    ):
        """Call `on_request` with each complete request, whose body has at most `most` + 1 bytes.

        `send_continue` is called for a client that asks before it sends a body (Expect: 100-continue).
        """
        self._client = client
        self._server = server
        self._most = most
        self._on_request = on_request
        self._send_continue = send_continue
        self._parser: Any = httptools.HttpRequestParser(self)
        self.request: Request | None = None  # the one that is being read
        self.ended = False  # nothing more is read
        self._in_head = self._expects = False
        self._head_bytes = self._body_bytes = self._declared = 0

    def feed(self, data: bytes) -> None:
        """Read `data`.

        Raises:
            Problem: it is not HTTP, or the headers are too long; nothing more is read.
        """
        size = len(data)
        request = self.request
        try:
            while data and not self.ended:
                try:
                    self._parser.feed_data(data)
                    break
                except httptools.HttpParserUpgrade as asked:
                    data = self._in_this_protocol() + data[asked.args[0] :]
        except httptools.HttpParserCallbackError as error:
            log.exception("a request could not be read")
            raise self._end(HTTPStatus.INTERNAL_SERVER_ERROR, "see the scorer's log") from error
        except httptools.HttpParserError as error:
            raise self._end(HTTPStatus.BAD_REQUEST, "this is not an HTTP request") from error
        if self._in_head and self.request is request:
            self._head_bytes += size
            if self._head_bytes > MOST_HEAD:
                raise self._end(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the headers must not exceed {MOST_HEAD:,} bytes"
                )

    def close(self) -> None:
        """Stop reading, and free the parser, which refers to this reader."""
        self._parser, self.ended = None, True

    def on_message_begin(self) -> None:
        """Start a request."""
        self.request = Request(self._client, self._server)
        self._in_head, self._expects = True, False
        self._head_bytes = self._body_bytes = self._declared = 0

    def on_url(self, part: bytes) -> None:
        """Add to the target of the request."""
        if self.request is not None:
            self.request.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. The trailers of a chunked body are ignored."""
        if self.request is None or not self._in_head:
            return
        name = name.lower()
        self.request.headers.append((name, value))
        if name == b"content-type":
            self.request.media = value
        elif name == b"content-length":
            self._declared = int(value)
        elif name == b"expect":
            self._expects = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """Answer a client that asks before it sends the body."""
        self._in_head = False
        if self._expects:
            if self._declared <= self._most:
                self._send_continue()
            else:
                self._end_here()

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body: one byte over the limit at most."""
        request, most = self.request, self._most
        if request is None:
            return
        self._body_bytes += len(part)
        if not request.body:
            request.body = part[: most + 1]
        elif len(request.body) <= most:
            if isinstance(request.body, bytes):  # a bytearray grows in place, however small the parts
                request.body = bytearray(request.body)
            request.body += part[: most + 1 - len(request.body)]
        if self._body_bytes > DRAINED * most:
            self._end_here()

    def on_message_complete(self) -> None:
        """Hand over the complete request."""
        request, parser = self.request, self._parser
        if request is None:
            return
        request.method = parser.get_method()
        if parser.should_upgrade() and not self.ended:  # its body has not been read
            return
        self.request, request.arrived = None, perf_counter()
        request.keep_alive = not self.ended and parser.should_keep_alive() and parser.get_http_version() == "1.1"
        self._on_request(request)

    def _end_here(self) -> None:
        """Take the request as complete and read nothing that follows."""
        self.ended = True
        self.on_message_complete()

    def _end(self, status: HTTPStatus, detail: str) -> Problem:
        self.ended = True
        return Problem(status, detail)

    def _in_this_protocol(self) -> bytes:
        """The request again, without its wish to change the protocol: Java's client asks for HTTP/2."""
        request, self._parser = self.request, httptools.HttpRequestParser(self)
        if request is None or request.method == b"CONNECT":
            raise self._end(HTTPStatus.METHOD_NOT_ALLOWED, "this server is not a proxy")
        kept = [b"%b: %b" % header for header in request.headers if header[0] not in _OF_AN_UPGRADE]
        return b"\r\n".join([b"%b %b HTTP/1.1" % (request.method, request.target), *kept, b"", b""])
