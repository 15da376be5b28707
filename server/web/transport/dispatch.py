"""What answers which request: micro-batches for single records, threads for long bodies, Flask for the rest."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING

import httptools

from server.web.api.problems import PROBLEM_TYPE, Problem
from server.web.transport import wsgi
from server.web.transport.connection import Connection
from server.web.transport.microbatch import MicroBatcher
from server.web.transport.wsgi import Request, head

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)
_JSON = b"application/json"
LONG = 16 * 1024  # bytes: a longer body takes milliseconds to answer, so a thread does it


class Dispatcher:
    """Answers the requests of every connection of one process.

    The loop reads every connection that has bytes before it runs what `take` has scheduled. So under load the single
    records of many clients are answered as one micro-batch, for much less than one by one. Alone, a record is answered
    at once.
    """

    def __init__(self, app: WSGIApplication, batcher: MicroBatcher, max_body_bytes: int, threads: int):
        """`batcher` answers single records, and `app` everything else."""
        self._app = app
        self._batcher = batcher
        self.max_body_bytes = max_body_bytes
        self._threads = ThreadPoolExecutor(threads, "long-body")
        self._batch: list[tuple[Connection, Request]] = []

    def take(self, connection: Connection, request: Request) -> None:
        """Answer `request`, now or soon, through `connection.send`."""
        if len(request.body) > LONG:
            loop = asyncio.get_running_loop()
            answer = self._threads.submit(self._answer, request)
            answer.add_done_callback(lambda done: loop.call_soon_threadsafe(connection.send, done.result()))
        elif request.target == b"/predict" and request.method == b"POST" and _is_plain(request):
            if not self._batch:
                asyncio.get_running_loop().call_soon(self._answer_batch)
            self._batch.append((connection, request))
        else:
            self._answer_now(connection, request)

    def _answer_now(self, connection: Connection, request: Request) -> None:
        connection.send(self._answer(request))

    def _answer_batch(self) -> None:
        batch, self._batch = self._batch, []
        answers = self._batcher.answers([request for _, request in batch])
        start = head(HTTPStatus.OK, [("Content-Type", "application/json")], keep_alive=True)[:-2]
        for (connection, request), answer in zip(batch, answers, strict=True):
            if answer is None:  # Flask says what is wrong with it, once the others have their answers
                asyncio.get_running_loop().call_soon(self._answer_now, connection, request)
            else:
                connection.send(b"%bContent-Length: %d\r\n\r\n%b" % (start, len(answer), answer))

    def _answer(self, request: Request) -> bytes:
        try:
            return wsgi.answer(self._app, request)
        except httptools.HttpParserInvalidURLError:
            problem = Problem(HTTPStatus.BAD_REQUEST, "the request's target is not a URL")
        except Exception:
            log.exception("a request failed")
            problem = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "see the scorer's log")
        body = problem.to_bytes()
        headers = [("Content-Type", PROBLEM_TYPE), ("Content-Length", str(len(body)))]
        return head(problem.status, headers, request.keep_alive) + body


def _is_plain(request: Request) -> bool:
    media = request.media
    return request.keep_alive and (media == _JSON or media.partition(b";")[0].strip().lower() == _JSON)
