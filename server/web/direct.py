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
LOT = 256  # answers that are counted at once: Prometheus's locks would cost each a tenth of its time
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
            body = self._predict(parse(read_body(environ, self._max_body_bytes)))
            start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
            self._took.append(perf_counter() - began)
            if len(self._took) >= self._lot:
                self._count()
        except Problem as problem:
            body = self._refuse(problem, start_response, began)
        except (NotServing, JournalError) as error:
            body = self._refuse(Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)), start_response, began)
        except Exception:
            log.exception("POST /predict failed")
            fault = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "see the scorer's log")
            body = self._refuse(fault, start_response, began)
        return [body]

    def _count(self) -> None:
        answered = 0
        with suppress(IndexError):
            while True:
                self._seconds.observe(self._took.popleft())
                answered += 1
        self._answered.inc(answered)

    def _predict(self, value: Any) -> bytes:
        if type(value) is dict:
            answer = self._serving.answer_one(value)
            if isinstance(answer, Rejected):
                raise refusal(answer)
            return orjson.dumps(answer)
        if type(value) is not list:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY, "the body must be one record (a JSON object) or a list of records"
            )
        return orjson.dumps(self._many(value))

    def _many(self, records: list[Any]) -> list[Any]:
        if len(records) > self._max_records:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a list may hold {self._max_records:,} records at most")
        answers = [a if isinstance(a, dict) else {"errors": a.to_json()} for a in self._serving.answer(records)]
        if answers and all("errors" in a for a in answers):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "none of the records can be scored", records=answers)
        return answers

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
