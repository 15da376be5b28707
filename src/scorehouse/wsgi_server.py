"""The one server of all pages and health ports: a WSGI application on uvicorn, with bounds (docs/adr/0011).

The application runs in a few threads. A thread holds only requests that have arrived whole and answers that nobody
reads yet, so a client that stalls costs a connection and no thread, and the connection only until its time is over.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from http import HTTPStatus
from threading import Thread
from typing import Any

import h11
import orjson
from a2wsgi import WSGIMiddleware
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from scorehouse.access import Access

THREADS = 8  # of the application
MOST_CONNECTIONS = 200  # from there on requests are answered 503, and beyond twice as many none is read
MOST_BODY_BYTES = 64 * 1024
REQUEST_SECONDS = 10.0  # for a whole request to arrive, counted from the connection or the answer before
ANSWER_SECONDS = 120.0  # for the application to answer, and the client to read
STOP_SECONDS = 15  # for what is under way at the end: longer than a request may take to arrive

Message = Any  # one ASGI message: uvicorn and a2wsgi declare the same dictionaries as different types
Receive = Callable[[], Any]
Send = Callable[[Message], Any]


class WsgiServer:
    """Serves one WSGI application on one port, which it holds from the start."""

    def __init__(self, application: Any, address: str, port: int, access: Access):
        """Take the port (any free one if it is 0), for requests that `access` allows, and GET /healthz.

        Raises:
            OSError: the port cannot be taken.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.create_server((address, port), family=family)
        # asyncio sets this only on its own sockets; without it, the second half of every answer comes 40 ms later.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = int(self._socket.getsockname()[1])
        self._thread: Thread | None = None
        self._server = Server(
            Config(
                _WholeMessages(WSGIMiddleware(application, workers=THREADS), access),
                interface="asgi3",
                http=_Connection,
                ws="none",
                loop="asyncio",
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_config=None,
                log_level="error",  # refused requests are the clients' errors
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )

    def run(self) -> None:
        """Serve in the main thread until SIGTERM or SIGINT; return once the requests under way are answered."""
        for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises the signal again once it has stopped
            signal.signal(number, lambda *_: self._ask_to_stop())
        self._server.run(sockets=[self._socket])

    def start(self, name: str) -> None:
        """Serve in a thread called `name` until `stop` is called or the process ends."""
        self._thread = Thread(target=self._server.run, args=([self._socket],), name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer the requests under way, then close the port; a server that was never started only closes it."""
        self._ask_to_stop()
        if self._thread is not None:
            self._thread.join()
        self._socket.close()

    def _ask_to_stop(self) -> None:
        self._server.should_exit = True


class _WholeMessages:
    """Hands the adapter whole requests, and the client whole answers.

    By itself, a2wsgi blocks a thread while it waits for the rest of a body, and while a client does not read.
    """

    def __init__(self, adapter: Any, access: Access):
        self._adapter = adapter
        self._access = access

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        refused = self._refusal(scope)
        if refused is not None:
            await _refuse_access(send, *refused)
            return
        if _declared_length(scope) > MOST_BODY_BYTES:
            await _refuse(send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if len(body) > MOST_BODY_BYTES:
                await _refuse(send)
                return
            more = message["more_body"]
        answer: list[Message] = []

        async def receive_body() -> Message:
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        async def keep(message: Message) -> None:
            answer.append(message)

        await self._adapter(_wsgi_scope(scope, len(body)), receive_body, keep)
        for message in answer:
            await send(message)

    def _refusal(self, scope: Any) -> tuple[int, str] | None:
        if scope["method"] == "GET" and scope["path"] == "/healthz":
            return None
        headers = dict(scope["headers"])
        host, authorization, origin = (
            None if (value := headers.get(name)) is None else value.decode("latin1")
            for name in (b"host", b"authorization", b"origin")
        )
        return self._access.refuse(scope["method"], host, authorization, origin)


class _Connection(H11Protocol):
    """uvicorn's HTTP/1.1 with the bounds that it lacks: on connections without a request, and on a client's time."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > 2 * MOST_CONNECTIONS:
            transport.abort()
        else:
            self._end_after(REQUEST_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete:
            self._end_after(ANSWER_SECONDS)

    def on_response_complete(self) -> None:
        self._end_after(REQUEST_SECONDS)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:  # the request is answered already, and the rest of its body is not HTTP
            self.transport.abort()
        if self.cycle is not None:
            self.cycle.disconnected = True  # the application must not answer after the 400

    def _end_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.transport.abort)


def _declared_length(scope: Any) -> int:
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)


def _wsgi_scope(scope: Any, length: int) -> Any:
    """Return the scope as WSGI needs it.

    An application reads as many bytes as Content-Length says. WSGI turns hyphens into underscores, so a client could
    send X_Forwarded_For to forge the X-Forwarded-For of a proxy: such headers are dropped.
    """
    replaced = (b"content-length", b"transfer-encoding")
    headers = [(name, value) for name, value in scope["headers"] if name not in replaced and b"_" not in name]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}


async def _refuse_access(send: Send, status: int, why: str) -> None:
    body = orjson.dumps(
        {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status), "detail": why}
    )
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _refuse(send: Send) -> None:
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    text = f"The body must not exceed {MOST_BODY_BYTES:,} bytes.\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": text})
