"""The hot route: many bodies of `POST /predict` that hold one record each, answered together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import orjson

from scorehouse import metrics
from scorehouse.errors import JournalError
from scorehouse.serving.serving import NotServing, Serving
from server.web.api.bodies import parse
from server.web.api.problems import Problem
from server.web.transport.wsgi import Request

log = logging.getLogger(__name__)
ROUTE = "/predict"


class MicroBatcher:
    """Answers what can be answered; what cannot is neither counted nor written down, and left to the route in Flask."""

    def __init__(self, serving: Serving):
        """Bind the metrics' labels once."""
        self._serving = serving
        self._seconds = metrics.HTTP_SECONDS.labels(ROUTE)
        self._answered = metrics.HTTP_REQUESTS.labels(ROUTE, "200")

    def answers(self, requests: Sequence[Request]) -> list[bytes | None]:
        """Return the answer to each request, journalled, or None where it cannot be scored."""
        records = [_record(request) for request in requests]
        try:
            answers = self._serving.answer_valid(records)
        except (NotServing, JournalError):
            return [None] * len(requests)
        except Exception:
            log.exception("%d records failed together, and are tried again one by one", len(requests))
            return [None] * len(requests)
        bodies = [None if answer is None else orjson.dumps(answer) for answer in answers]
        now = perf_counter()
        took = [now - r.arrived for r, body in zip(requests, bodies, strict=True) if body is not None]
        self._seconds.observe_all(took)
        self._answered.inc(len(took))
        return bodies


def _record(request: Request) -> Any:
    """The body's one record; None for what is none, which no model can score."""
    try:
        value = parse(request.body)
    except Problem:
        return None
    return value if type(value) is dict else None
