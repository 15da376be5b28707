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
DRAINED = 16  # times the body's limit that is still read: a client that is cut off while it sends never reads why
_OF_AN_UPGRADE = (b"connection", b"upgrade", b"http2-settings")


class Reader:
    """Reads what one client sends. httptools parses, and calls the methods that are named `on_…`."""

    def __init__(
        self,
        client: str,
        server: tuple[str, int],
        most: int,
        take: Callable[[Request], None],
        go_on: Callable[[], None],
    ):
        """Hand whole requests to `take`, bodies of `most` + 1 bytes at most; `go_on` is for who asks before sending."""
        self._client, self._server, self._most, self._take, self._go_on = client, server, most, take, go_on
        self._parser: Any = httptools.HttpRequestParser(self)
        self.request: Request | None = None  # the one that is being read
        self.ended = False  # nothing more is read
        self._in_head = self._expects = False
        self._head_bytes = self._body_bytes = self._declared = 0

    def feed(self, data: bytes) -> None:
        """Read on.

        Raises:
            Problem: this is not HTTP, or its head is too long; nothing more is read.
        """
        size, request = len(data), self.request
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
                raise self._end(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"headers may have {MOST_HEAD:,} bytes")

    def close(self) -> None:
        """Read no more: the parser and this refer to each other."""
        self._parser, self.ended = None, True

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.request = Request(self._client, self._server)
        self._in_head, self._expects = True, False
        self._head_bytes = self._body_bytes = self._declared = 0

    def on_url(self, part: bytes) -> None:
        """Add to its target."""
        if self.request is not None:
            self.request.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; what follows a chunked body is none."""
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
        """Tell a client that asks before it sends the body: to go on, or why not."""
        self._in_head = False
        if self._expects:
            if self._declared <= self._most:
                self._go_on()
            else:
                self._end_here()

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body, up to one byte over the limit."""
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
        """Hand the request on."""
        request, parser = self.request, self._parser
        if request is None:
            return
        request.method = parser.get_method()
        if parser.should_upgrade() and not self.ended:  # then its body was not read
            return
        self.request, request.arrived = None, perf_counter()
        request.keep_alive = not self.ended and parser.should_keep_alive() and parser.get_http_version() == "1.1"
        self._take(request)

    def _end_here(self) -> None:
        """Take the request for whole: nothing that follows is read."""
        self.ended = True
        self.on_message_complete()

    def _end(self, status: HTTPStatus, detail: str) -> Problem:
        self.ended = True
        return Problem(status, detail)

    def _in_this_protocol(self) -> bytes:
        """A request that would go on in another protocol (Java's client asks for HTTP/2), without the wish to."""
        request, self._parser = self.request, httptools.HttpRequestParser(self)
        if request is None or request.method == b"CONNECT":
            raise self._end(HTTPStatus.METHOD_NOT_ALLOWED, "this is no proxy")
        kept = [b"%b: %b" % header for header in request.headers if header[0] not in _OF_AN_UPGRADE]
        return b"\r\n".join([b"%b %b HTTP/1.1" % (request.method, request.target), *kept, b"", b""])
