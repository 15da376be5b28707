"""The hot route, POST /predict, as a page of WSGI in front of the Flask application (docs/adr/0003)."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from time import perf_counter
from typing import Any

import orjson

from scorehouse import metrics
from scorehouse.errors import JournalError
from scorehouse.schema import Rejected
from scorehouse.serving import NotServing, Serving
from server.web.bodies import parse, read_body
from server.web.problems import PROBLEM_TYPE, Problem, refusal

log = logging.getLogger(__name__)
LOT = 256  # answered records that are counted at once: one by one that takes a seventh of each request's time
Environ = dict[str, Any]
StartResponse = Any  # PEP 3333 start_response
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]


class PredictRoute:
    """Answers POST /predict itself and hands every other request to `rest`."""

    def __init__(self, serving: Serving, rest: Wsgi, max_body_bytes: int, max_records: int):
        """Bind the metrics' labels once. Where processes share their metrics any of them is scraped: no lots then."""
        self._serving, self._rest = serving, rest
        self._max_body_bytes, self._max_records = max_body_bytes, max_records
        self._seconds = metrics.HTTP_SECONDS.labels("/predict")
        self._answered = metrics.HTTP_REQUESTS.labels("/predict", "200")
        self._took: deque[float] = deque()
        self._lot = 1 if "PROMETHEUS_MULTIPROC_DIR" in os.environ else LOT

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        if path != "/predict":
            if path == "/metrics":
                self._count()
            return self._rest(environ, start_response)
        began = perf_counter()
        try:
            if environ["REQUEST_METHOD"] != "POST":
                raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, "POST one record, or a list of records")
            value = parse(read_body(environ, self._max_body_bytes))
            one = type(value) is dict
            body = self._one(value) if one else self._many(value)
            start_response("200 OK", [("Content-Type", "application/json")])  # the server adds the length
            self._note(perf_counter() - began, one)
        except Problem as problem:
            body = self._refuse(problem, start_response, began)
        except (NotServing, JournalError) as error:
            body = self._refuse(Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)), start_response, began)
        except Exception:
            log.exception("POST /predict failed")
            fault = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "see the scorer's log")
            body = self._refuse(fault, start_response, began)
        return [body]

    def _note(self, seconds: float, one: bool) -> None:
        if not one:
            self._seconds.observe(seconds)
            self._answered.inc()
            return
        took = self._took
        took.append(seconds)
        if len(took) >= self._lot:
            self._count()

    def _count(self) -> None:
        took: list[float] = []
        with suppress(IndexError):  # emptied, perhaps by another thread
            while True:
                took.append(self._took.popleft())
        self._seconds.observe_all(took)
        self._answered.inc(len(took))
        self._serving.count(len(took))

    def _one(self, record: dict[str, Any]) -> bytes:
        answer = self._serving.answer_one(record)
        if isinstance(answer, Rejected):
            raise refusal(answer)
        return orjson.dumps(answer)

    def _many(self, records: Any) -> bytes:
        if type(records) is not list:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY, "the body must be one record (a JSON object) or a list of records"
            )
        if len(records) > self._max_records:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a list may hold {self._max_records:,} records at most")
        answers = [a if isinstance(a, dict) else {"errors": a.to_json()} for a in self._serving.answer(records)]
        if answers and all("errors" in a for a in answers):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "none of the records can be scored", records=answers)
        return orjson.dumps(answers)

    def _refuse(self, problem: Problem, start_response: StartResponse, began: float) -> bytes:
        body, status = problem.to_bytes(), problem.status
        headers = [("Content-Type", PROBLEM_TYPE), ("Content-Length", str(len(body)))]
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers.append(("Retry-After", "2"))
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", "POST"))
        start_response(f"{status.value} {status.phrase}", headers)
        metrics.HTTP_REQUESTS.labels("/predict", str(status.value)).inc()
        self._seconds.observe(perf_counter() - began)
        return body
