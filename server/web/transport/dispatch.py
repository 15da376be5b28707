"""Who answers which request: single records in lots, long bodies in threads, all the rest at once."""

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
LONG = 16 * 1024  # bytes of a body that takes milliseconds to answer: others are not kept waiting for it


class Dispatcher:
    """Answers what the connections of one process bring.

    Every connection that has a request ready is read before the loop turns to what `take` has put off. So under load
    the single records of many clients are answered together, for much less than one by one; alone, at once.
    """

    def __init__(self, app: WSGIApplication, singles: MicroBatcher, max_body_bytes: int, threads: int):
        """Answer single records by `singles`, and everything else by `app`."""
        self._app, self._singles, self.max_body_bytes = app, singles, max_body_bytes
        self._threads = ThreadPoolExecutor(threads, "long-body")
        self._batch: list[tuple[Connection, Request]] = []

    def take(self, connection: Connection, request: Request) -> None:
        """Answer `request`, now or later, by `connection.send`."""
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
        lot, self._batch = self._batch, []
        answers = self._singles.answers([request for _, request in lot])
        start = head(HTTPStatus.OK, [("Content-Type", "application/json")], keep_alive=True)[:-2]
        for (connection, request), answer in zip(lot, answers, strict=True):
            if answer is None:  # no record that can be scored: Flask says why, once the others have their answers
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
