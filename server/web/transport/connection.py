"""One client's connection: uvicorn's HTTP/1.1 with the bounds that it lacks (docs/adr/0003).

uvicorn and httptools read the requests, keep their order and write the answers. This module hands over whole requests,
one per turn of the loop, and bounds what one client can cost: heads, trailers, bodies, waiting requests and time.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any, Protocol, cast
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGI3Application, ASGIVersions, HTTPScope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from scorehouse import metrics
from server.web.api.problems import PROBLEM_TYPE, Problem
from server.web.transport.heads import (
    MOST_HEAD,
    Headers,
    check_head,
    check_size,
    full_target,
    no_url,
    too_long,
    without_upgrade,
)

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 1000  # beyond, a request is answered 503; beyond twice as many, none is read
MOST_WAITING = 16  # requests behind the one that is answered; the connection ends behind them
SHORT = 16 * 1024  # bytes: longer bodies count towards what a process holds, and are answered in threads
DRAINED = 16  # times the body's limit: so much is read, because a client that is cut off never reads why
_ASGI: ASGIVersions = {"version": "3.0", "spec_version": "2.3"}
SECONDS_FOR_A_REQUEST = 60.0  # from its first byte to its last
SECONDS_IDLE = 75.0  # between requests: longer than proxies wait, so that they close the connection first
CHECK_SECONDS = 15.0  # between two checks whether a connection has timed out


class Handler(Protocol):
    """What answers the requests, and how much it lets all clients together hold."""

    max_body_bytes: int
    most_held: int  # bytes of long bodies, of all connections, that are not answered yet
    held: int

    def take(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        """Call `connection.send` or `connection.run` once, in the thread of the loop, to answer a whole request."""


class Connection(HttpToolsProtocol):
    """uvicorn makes one for each connection that it accepts; the loaded application is the door.

    `cycle` is uvicorn's request that was begun last, and `pipeline` holds those that wait for their turn.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ):
        """Start with nothing read."""
        super().__init__(config, server_state, app_state, _loop)
        self._door: Handler = self.app
        self._most = self._door.max_body_bytes
        self._short = min(SHORT, self._most)
        self._turn: RequestResponseCycle | None = None  # the request whose turn it is: being read, or answered
        self._taken = False  # it is whole, so an answer to it comes
        self._blocked = False  # it is whole, but its client must read the answers before first
        self._in_head = False
        self._reading = False  # a request has begun and is not whole
        self._ended = False  # nothing more is read
        self._last = False  # the next request is the last
        self._refusal: Problem | None = None  # sent once the requests before it are answered
        self._unframed = 0  # bytes since the last progress: of a head, of trailers, between chunks
        self._dropped = 0  # bytes of the body that is being read that are over its limit
        self._counted = 0  # bytes of that body that the door counts
        self._held = 0  # bytes that the door counts for this connection
        self._heard = self._began = self.loop.time()  # when the client last sent anything; when a request began
        self._surplus = False
        self._event = asyncio.Event()  # what uvicorn's requests wait for the rest of a body with: ours come whole
        self._length: bytes | None = None  # the Content-Length of the request that is being read
        self._head: tuple[Any, ...] = ()  # the last request's head without it: clients send the same each time
        self._scope: HTTPScope  # what that says
        self._expects = False  # whether such a request's client waits for 100 Continue before it sends the body
        self.allowed: HTTPScope | None = None  # the scope whose requests may be answered
        self.caller: str | None = None  # who sends them
        self.sends_singles = False  # whether each of them may be one plain record
        self.readers: Headers = ()  # headers of the answers that let a page of another site read them

    # --- what asyncio and uvicorn call ---
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(CHECK_SECONDS, self._check_times)
        self._surplus = len(self.connections) > MOST_CONNECTIONS
        if len(self.connections) > 2 * MOST_CONNECTIONS:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._ended = True
        super().connection_lost(exc)
        if self._turn is not None:
            self._turn.disconnected = True
        self.pipeline.clear()
        answering = self._turn if self._taken and not self._blocked else None
        self._hold((_long(answering) if answering is not None else 0) - self._held)  # the door releases the rest
        for cycle in (self._turn, self.cycle):
            if cycle is not None and cycle is not answering:
                _drop_body(cycle)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        self._heard = self.loop.time()
        self._unframed += len(data)
        try:
            if self._surplus:
                raise _full("this scorer has too many connections")
            self._feed(data)
            if self._unframed > MOST_HEAD and not self._ended:
                raise too_long(f"headers and trailers must not exceed {MOST_HEAD:,} bytes")
        except Problem as problem:
            self._refuse(problem)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether the connection stays open, which it does until whole requests are answered."""
        if self._reading:
            self._refuse(Problem(HTTPStatus.BAD_REQUEST, "the connection was closed before the request was complete"))
        self._end()
        return self._taken

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._blocked:
            self._hand_over()

    def shutdown(self) -> None:
        """Close the connection once no request is under way."""
        self._last = True
        if not self._in_head:
            super().shutdown()

    # --- what httptools calls ---
    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self._length = None
        self._in_head = self._reading = True
        self._dropped = self._counted = 0
        self._began = self._heard

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-length":
            self._length = value
        else:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._ended or self.parser.should_upgrade():  # then it is read again, without the upgrade
            return
        if len(self.pipeline) >= MOST_WAITING:
            self._end()
            return
        version = self.parser.get_http_version()
        if self._unframed > MOST_HEAD:
            check_size(self.url, self.headers)
        head = (version, self.parser.get_method(), self.url, self.headers)
        if head != self._head:
            self._scope = self._describe(*head)
            self._expects = version == "1.1" and b"expect" in headers_of(self._scope)
            self._head = head
        before = self.cycle
        self._in_head = False
        access_log = False
        keep_alive = version == "1.1" and not self._last and self.parser.should_keep_alive()
        self.cycle = RequestResponseCycle(  # by position: with names, each request takes 0.3 µs more
            self._scope,
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            access_log,
            self.server_state.default_headers,
            self._event,
            self._expects,
            keep_alive,
            self.on_response_complete,
        )
        self.headers = []  # trailers end here, and are ignored
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _describe(self, version: str, method: bytes, url: bytes, headers: list[tuple[bytes, bytes]]) -> HTTPScope:
        """Describe a head as ASGI does, once for all requests that have it. Raises Problem."""
        by_name = check_head(version, headers)
        parsed = httptools.parse_url(url if url[:1] == b"/" else full_target(url))
        raw_path = parsed.path
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": "http",
            "method": method.decode("ascii"),
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": parsed.query or b"",
            "headers": headers,
            "state": cast("dict[str, Any]", by_name),
        }

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body: one byte over the limit at most."""
        if self._ended:
            return
        self._unframed = 0
        kept = self.cycle.body
        if len(kept) + len(body) <= self._short:
            kept += body
            return
        part = body[: self._most + 1 - len(kept)]
        kept += part
        self._dropped += len(body) - len(part)
        if len(kept) > max(SHORT, self._counted):
            self._hold(len(kept) - self._counted)
            self._counted = len(kept)
            if self._door.held > self._door.most_held:
                raise _full("this scorer holds too many long bodies")
        if self._dropped + len(kept) > DRAINED * self._most:
            self._end()
            self._complete()

    def on_message_complete(self) -> None:
        if not self._ended and not self._in_head:  # after the head of an upgrade httptools reads no body
            self._complete()

    # --- requests ---
    def _feed(self, data: bytes) -> None:
        while not self._ended:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as asked:
                data = self._in_this_protocol() + data[asked.args[0] :]
            except httptools.HttpParserCallbackError as error:
                raise self._problem(error) from error
            except httptools.HttpParserError as error:
                raise Problem(HTTPStatus.BAD_REQUEST, "this is not an HTTP request") from error
            else:
                return

    def _problem(self, error: httptools.HttpParserCallbackError) -> Problem:
        """What stopped one of our callbacks, or uvicorn's."""
        why = error.__context__
        if isinstance(why, Problem):
            return why
        if isinstance(why, httptools.HttpParserInvalidURLError | UnicodeDecodeError):
            return no_url()
        log.error("a request could not be read", exc_info=why)
        return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "see the scorer's log")

    def _in_this_protocol(self) -> bytes:
        """The head again, without its request to change the protocol: Java's client asks for HTTP/2."""
        method = self.parser.get_method()
        self.parser = httptools.HttpRequestParser(self)
        if method == b"CONNECT":
            raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, "this server is not a proxy")
        length = [] if self._length is None else [(b"content-length", self._length)]
        return without_upgrade(method, self.url, [*self.headers, *length])

    def _complete(self) -> None:
        self._reading = False
        self._unframed = 0
        self.cycle.more_body = False
        if self.cycle is self._turn:
            self._hand_over()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:  # noqa: ARG002
        """Take a request whose turn has come; it may not be whole yet."""
        self._turn = cycle
        if not cycle.more_body:
            self._hand_over()
        elif cycle.waiting_for_100_continue:
            cycle.waiting_for_100_continue = False
            self._answer_expectation(cycle)

    def _answer_expectation(self, cycle: RequestResponseCycle) -> None:
        if self._ended or cycle.body:
            return
        if self._length is None or int(self._length) <= self._most:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        else:  # the door refuses it by its length, and its body does not come
            cycle.scope = {**cycle.scope, "headers": [*cycle.scope["headers"], (b"content-length", self._length)]}
            self._end()
            self._complete()

    def _hand_over(self) -> None:
        self._taken = True
        self._blocked = self.flow.write_paused or self.transport.is_closing()
        if self._turn is not None and not self._blocked:
            self._door.take(self, self._turn)

    # --- answers ---
    def send(self, cycle: RequestResponseCycle, start: bytes, body: bytes) -> None:
        """Answer `cycle` with `body`; `start` is the head without the length."""
        if cycle.disconnected or self.transport.is_closing():  # the client has gone
            return
        close = b"" if cycle.keep_alive else b"connection: close\r\n"
        self.transport.write(b"%bcontent-length: %d\r\n%b\r\n%b" % (start, len(body), close, body))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def run(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Answer `cycle` by an ASGI application, in a task; what it holds is released when that ends."""
        super()._start_asgi_task(cycle, app)

    def release(self, cycle: RequestResponseCycle) -> None:
        """Stop counting the body of `cycle`, because its answer is ready."""
        self._hold(-_long(cycle))
        cycle.body = bytearray()

    def on_response_complete(self) -> None:
        """Give the next request its turn; nothing is read while one waits for its own."""
        self._turn = None
        self._taken = False
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        if not self.pipeline:
            self.flow.resume_reading()
            if self._refusal is not None and not self._taken:
                self._refuse(self._refusal)

    def _refuse(self, problem: Problem) -> None:
        """Answer with a problem of the connection itself, and close it; whole requests are answered before."""
        self._ended = True
        self._refusal = problem
        if self._reading and not self._in_head:
            _drop_body(self.cycle)
            self._hold(-self._counted)
            self._counted = 0
        if self._taken or self.transport.is_closing():
            return
        metrics.HTTP_REQUESTS.labels("unknown", str(problem.status.value)).inc()
        body = problem.to_bytes()
        retry = b"retry-after: 2\r\n" if problem.status == HTTPStatus.SERVICE_UNAVAILABLE else b""
        head = b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%bconnection: close\r\n\r\n"
        phrase = problem.status.phrase.encode()
        self.transport.write(head % (problem.status, phrase, PROBLEM_TYPE.encode(), len(body), retry) + body)
        self.transport.close()

    # --- bounds ---
    def _end(self) -> None:
        """Read nothing more, and close the connection once the requests that have arrived are answered."""
        self._ended = True
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _hold(self, more: int) -> None:
        self._held += more
        self._door.held += more

    def _check_times(self) -> None:
        """Close a connection that has been silent, or has been sending one request, for too long."""
        self._timer = self.loop.call_later(CHECK_SECONDS, self._check_times)
        now = self.loop.time()
        if self.transport.is_closing() or self.flow.write_paused:  # its client does not read the answers
            if now - self._heard > SECONDS_IDLE:
                self.transport.abort()
        elif self._taken:
            return
        elif not self._reading:
            if now - self._heard > SECONDS_IDLE:
                self.transport.close()
        elif now - self._began > SECONDS_FOR_A_REQUEST:
            detail = f"the request did not arrive within {SECONDS_FOR_A_REQUEST:g} s"
            self._refuse(Problem(HTTPStatus.REQUEST_TIMEOUT, detail))


def headers_of(scope: HTTPScope) -> dict[bytes, bytes]:
    """Return the headers by name, which are kept where ASGI has the state of a request."""
    headers: dict[Any, Any] = scope["state"]
    return headers


def _long(cycle: RequestResponseCycle) -> int:
    """The bytes of a body that the door counts."""
    return len(cycle.body) if len(cycle.body) > SHORT else 0


def _drop_body(cycle: RequestResponseCycle) -> None:
    """Free a body that nobody answers: request and connection refer to each other, so Python frees them late."""
    cycle.body = bytearray()


def _full(detail: str) -> Problem:
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{detail}: try again soon")
