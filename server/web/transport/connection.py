"""One client's connection: its requests are answered in order, and every wait has an end (docs/adr/0003).

A request reaches the door once it is complete, so a client that stalls holds one connection, and only until it times
out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus
from typing import Any, Protocol

from uvicorn.config import Config
from uvicorn.server import ServerState

from scorehouse import metrics
from server.web.api.problems import PROBLEM_TYPE, Problem
from server.web.transport.reader import Reader
from server.web.transport.wsgi import Request, head

SECONDS_FOR_A_REQUEST = 60.0  # from its first byte to its last
SECONDS_IDLE = 75.0  # between requests: longer than proxies wait, so that they close the connection first
CHECK_SECONDS = 15.0  # between two checks whether a connection has timed out


class Handler(Protocol):
    """What answers the requests."""

    max_body_bytes: int

    def take(self, connection: Connection, request: Request) -> None:
        """Call `connection.send` once, in the thread of the loop, with the answer to `request`."""


class Connection(asyncio.Protocol):
    """Uvicorn makes one for each connection that it accepts; the loaded application is the door."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # noqa: ARG002
        _loop: object = None,
    ):
        """Start with nothing read."""
        self._door: Handler = config.loaded_app
        self._loop = asyncio.get_running_loop()
        self._open = server_state.connections
        self._answering: Request | None = None
        self._waiting: deque[Request] = deque()  # a client may send the next before it has the answer
        self._last = False  # no request is taken after those that have arrived
        self._full = False  # the client does not read its answers
        self._heard = self._loop.time()  # when it last sent anything
        self._began = self._heard  # when the request that is being read began

    # --- what asyncio and uvicorn call ---
    def connection_made(self, transport: Any) -> None:
        """Remember the peer and start its timeout."""
        self._transport = transport
        client = str((transport.get_extra_info("peername") or ("",))[0])
        server = (transport.get_extra_info("sockname") or ("", 0))[:2]
        self._reader = Reader(client, server, self._door.max_body_bytes, self._take, self._send_continue)
        self._open.add(self)  # type: ignore[arg-type]
        self._timer = self._loop.call_later(CHECK_SECONDS, self._check_times)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._open.discard(self)
        self._timer.cancel()
        self._waiting.clear()
        self._reader.close()

    def data_received(self, data: bytes) -> None:
        before = self._reader.request
        self._heard = self._loop.time()
        try:
            self._reader.feed(data)
        except Problem as problem:
            self._refuse(problem)
        if self._reader.request is not before:
            self._began = self._heard

    def eof_received(self) -> bool:
        """Return whether the connection stays open, which it does until complete requests are answered."""
        if self._reader.request is not None:
            self._refuse(Problem(HTTPStatus.BAD_REQUEST, "the connection was closed before the request was complete"))
        self._last = True
        return self._answering is not None

    def pause_writing(self) -> None:
        """Read nothing more until the client has read its answers."""
        self._full = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._full = False
        self._next()

    def shutdown(self) -> None:
        """Close the connection once no request is under way."""
        self._last = True
        if self._answering is None and self._reader.request is None:
            self._transport.close()

    # --- requests and answers ---
    def _take(self, request: Request) -> None:
        if self._transport.is_closing():
            return
        if self._last:
            request.keep_alive = False
        if self._answering is None:
            self._answering = request
            self._door.take(self, request)
        else:
            self._waiting.append(request)
            self._transport.pause_reading()

    def _send_continue(self) -> None:
        if self._answering is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def send(self, response: bytes) -> None:
        """Write the answer to the request that the door took, and hand over the next one."""
        answered, self._answering = self._answering, None
        if self._transport.is_closing():  # the client has gone
            return
        self._transport.write(response)
        if answered is None or not answered.keep_alive or (self._last and not self._waiting):
            self._transport.close()
        elif self._waiting:
            self._next()

    def _next(self) -> None:
        if self._full or self._answering is not None or self._transport.is_closing():
            return
        if self._waiting:
            self._answering = self._waiting.popleft()
            self._loop.call_soon(self._door.take, self, self._answering)
        if not self._waiting:
            self._transport.resume_reading()

    def _refuse(self, problem: Problem) -> None:
        """Answer with a problem of the connection itself, and close it; an answer under way comes first."""
        self._reader.ended = self._last = True
        if self._answering is not None or self._transport.is_closing():
            return
        metrics.HTTP_REQUESTS.labels("unknown", str(problem.status.value)).inc()
        body = problem.to_bytes()
        headers = [("Content-Type", PROBLEM_TYPE), ("Content-Length", str(len(body)))]
        self._transport.write(head(problem.status, headers, keep_alive=False) + body)
        self._transport.close()

    def _check_times(self) -> None:
        """Close a connection that has been silent, or has been sending one request, for too long."""
        now = self._loop.time()
        transport = self._transport
        self._timer = self._loop.call_later(CHECK_SECONDS, self._check_times)
        if self._answering is not None:
            return
        if transport.is_closing():
            if now - self._heard > SECONDS_IDLE:
                transport.abort()  # its client does not read the answer
        elif self._reader.request is None:
            if now - self._heard > SECONDS_IDLE:
                transport.close()
        elif now - self._began > SECONDS_FOR_A_REQUEST:
            detail = f"the request did not arrive within {SECONDS_FOR_A_REQUEST:g} s"
            self._refuse(Problem(HTTPStatus.REQUEST_TIMEOUT, detail))
