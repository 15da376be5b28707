"""What answers which request: micro-batches for single records, threads with Flask for the rest."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from scorehouse import metrics
from scorehouse.access import Access
from server.web.api.answers import best_media
from server.web.api.bodies import JSON, LINES, NDJSON
from server.web.api.problems import PROBLEM_TYPE, Problem
from server.web.transport import wsgi
from server.web.transport.connection import SHORT, Connection, headers_of
from server.web.transport.heads import Headers
from server.web.transport.microbatch import MicroBatcher
from server.web.transport.wsgi import WsgiAnswer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)
_JSON = JSON.encode()
_START = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
_JSON_FORMS = {_JSON, b"application/json;charset=utf-8"}
# CORS: what a page of an allowed origin may send, and what it may read of an answer (https://fetch.spec.whatwg.org).
_PREFLIGHT = b"access-control-request-method"
_PERMITTED = (
    (b"access-control-allow-methods", b"GET, HEAD, POST"),
    (b"access-control-allow-headers", b"Authorization, Content-Encoding, Content-Type, X-API-Key"),
    (b"access-control-max-age", b"7200"),
)
_READABLE = ((b"access-control-expose-headers", b"Retry-After"), (b"vary", b"Origin"))
_ACCESS_HEADERS = (b"host", b"authorization", b"origin", b"x-caller")
_ALIVE = b'{"status":"alive"}'
_MOST_HELD = 64 * 2**20  # bytes of long bodies that one process holds, unless a few of the longest need more


class Dispatcher:
    """Answers the requests of every connection of one process.

    The loop reads every connection that has bytes before it runs what `take` has scheduled. So under load the single
    records of many clients are answered as one micro-batch, for much less than one by one. Flask answers everything
    else in a few threads, and `/healthz` needs neither, so no page and no long body keeps them waiting.
    """

    def __init__(self, app: WSGIApplication, batcher: MicroBatcher, access: Access, max_body_bytes: int, threads: int):
        """`batcher` answers single records, and `app` everything else that `access` allows."""
        self._app = app
        self._batcher = batcher
        self._access = access
        self.max_body_bytes = max_body_bytes
        self.most_held = max(_MOST_HELD, 4 * max_body_bytes)
        self.held = 0
        self._threads = ThreadPoolExecutor(threads, "flask")
        self._batch: list[tuple[Connection, RequestResponseCycle, float, str | None]] = []

    def take(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        """Answer a whole request soon, through `connection`."""
        arrived = perf_counter()
        if cycle.scope is not connection.allowed and not self._admit(connection, cycle, arrived):
            return
        caller = connection.caller
        if connection.sends_singles and len(cycle.body) <= SHORT:
            if not self._batch:
                connection.loop.call_soon(self._answer_batch)
            self._batch.append((connection, cycle, arrived, caller))
        else:
            self._answer_by_app(connection, cycle, caller)

    def _admit(self, connection: Connection, cycle: RequestResponseCycle, arrived: float) -> bool:
        """Return whether a record or a page is asked for, as all requests with this scope then do.

        Health checks, preflights and what is refused are answered here.
        """
        scope = cycle.scope
        path, method = scope["path"], scope["method"]
        headers = headers_of(scope)
        if path == "/healthz" and method == "GET":
            connection.loop.call_soon(self._answer_alive, connection, cycle, arrived)
            return False
        refused = self._check_access(connection, method, headers)
        if refused is not None:
            self._refuse(connection, cycle, refused)
            return False
        if method == "OPTIONS" and connection.readers and _PREFLIGHT in headers:
            self._answer_at_once(connection, cycle, WsgiAnswer(HTTPStatus.NO_CONTENT, [*_PERMITTED], b""))
            return False
        connection.allowed = scope
        connection.sends_singles = path == "/predict" and method == "POST" and _is_plain(headers)
        return True

    def _check_access(self, connection: Connection, method: str, headers: dict[bytes, bytes]) -> Problem | None:
        asked = map(headers.get, _ACCESS_HEADERS)
        host, authorization, origin, caller = (v if v is None else v.decode("latin1") for v in asked)
        connection.readers = self._may_read(origin)
        refused = self._access.refuse(method, host, authorization, origin)
        if refused is not None:
            return Problem(HTTPStatus(refused[0]), refused[1])
        connection.caller = self._access.caller(authorization, caller)
        return None

    def _may_read(self, origin: str | None) -> Headers:
        """The headers with which a page of `origin` may read an answer; none where it may not."""
        if origin is None or not self._access.shares(origin):
            return ()
        return ((b"access-control-allow-origin", origin.encode("latin1")), *_READABLE)

    def _answer_alive(self, connection: Connection, cycle: RequestResponseCycle, arrived: float) -> None:
        connection.send(cycle, _start(connection), _ALIVE)
        metrics.HTTP_REQUESTS.labels("/healthz", "200").inc()
        metrics.HTTP_SECONDS.labels("/healthz").observe(perf_counter() - arrived)

    def _refuse(self, connection: Connection, cycle: RequestResponseCycle, problem: Problem) -> None:
        metrics.HTTP_REQUESTS.labels("unknown", str(problem.status.value)).inc()
        self._answer_at_once(connection, cycle, _problem(problem))

    def _answer_at_once(self, connection: Connection, cycle: RequestResponseCycle, made: WsgiAnswer) -> None:
        readers = connection.readers

        async def answer(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
            connection.release(cycle)
            await _send(send, made, readers)

        connection.run(cycle, answer)

    def _answer_batch(self) -> None:
        batch, self._batch = self._batch, []
        connections, cycles, arrivals, callers = zip(*batch, strict=True)
        answers = self._batcher.answers([cycle.body for cycle in cycles], arrivals, callers)
        start = _start(connections[0])
        for connection, cycle, caller, answer in zip(connections, cycles, callers, answers, strict=True):
            if answer is None:  # Flask says what is wrong with it
                self._answer_by_app(connection, cycle, caller)
            else:
                connection.send(cycle, start + _lines(connection.readers) if connection.readers else start, answer)

    def _answer_by_app(self, connection: Connection, cycle: RequestResponseCycle, caller: str | None) -> None:
        readers = connection.readers

        async def answer(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
            try:
                made = await connection.loop.run_in_executor(self._threads, self._ask_app, cycle, caller)
            finally:
                connection.release(cycle)
            await _send(send, made, readers)

        connection.run(cycle, answer)

    def _ask_app(self, cycle: RequestResponseCycle, caller: str | None) -> WsgiAnswer:
        if cycle.disconnected:  # nobody would read the answer
            return WsgiAnswer(HTTPStatus.BAD_REQUEST, [], b"")
        try:
            return wsgi.answer(self._app, wsgi.environ(cycle.scope, cycle.body, caller))
        except Exception:
            log.exception("a request failed")
            return _problem(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "see the scorer's log"))


def _problem(problem: Problem) -> WsgiAnswer:
    body = problem.to_bytes()
    headers = [(b"content-type", PROBLEM_TYPE.encode()), (b"content-length", b"%d" % len(body))]
    return WsgiAnswer(problem.status, headers, body)


async def _send(send: Any, answer: WsgiAnswer, readers: Headers) -> None:
    await send({"type": "http.response.start", "status": int(answer.status), "headers": [*answer.headers, *readers]})
    await send({"type": "http.response.body", "body": answer.body})


def _start(connection: Connection) -> bytes:
    """The head of a JSON answer with the date, which uvicorn renews each second."""
    return _START + _lines(connection.server_state.default_headers)


def _lines(headers: Headers) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)


def _is_plain(headers: dict[bytes, bytes]) -> bool:
    """Whether a body is JSON in UTF-8 without a coding, and JSON may answer it."""
    media = headers.get(b"content-type", b"").lower().replace(b" ", b"")
    if media not in _JSON_FORMS or b"content-encoding" in headers:
        return False
    accept = headers.get(b"accept", b"*/*")
    return accept in (b"*/*", _JSON) or _prefers_json(accept.decode("latin1"))


def _prefers_json(accept: str) -> bool:
    return best_media(parse_accept_header(accept, MIMEAccept), (JSON, LINES, NDJSON)) == JSON
