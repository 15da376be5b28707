"""The hot route: bodies of `POST /predict` that hold one record each, answered as one micro-batch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import orjson

from scorehouse import metrics
from scorehouse.errors import JournalError
from scorehouse.scoring.json_text import NotJson, parse_json
from scorehouse.serving.serving import Answer, NotServing, Serving

log = logging.getLogger(__name__)
ROUTE = "/predict"


class MicroBatcher:
    """Answers what can be scored. The rest is not counted: the Flask route answers it again, and says what is wrong."""

    def __init__(self, serving: Serving):
        """Bind the metrics' labels once."""
        self._serving = serving
        self._seconds = metrics.HTTP_SECONDS.labels(ROUTE)
        self._answered = metrics.HTTP_REQUESTS.labels(ROUTE, "200")

    def answers(
        self, bodies: Sequence[bytes | bytearray], arrivals: Sequence[float], callers: Sequence[str | None]
    ) -> list[bytes | None]:
        """Return the body of each answer, journalled, or None where the request's record cannot be scored.

        For each request: its body, when it arrived, and who asks if known.
        """
        records = [_record(body) for body in bodies]
        try:
            model = self._serving.require_model()
            answers = self._serving.answer_valid(records, model, callers)
        except (NotServing, JournalError):
            return [None] * len(bodies)
        except Exception:
            log.exception("a micro-batch of %d records failed; Flask answers them one by one", len(bodies))
            return [None] * len(bodies)
        key, classes = model.answer_key, model.classes
        answered = [orjson.dumps(a.to_json(key, classes)) if isinstance(a, Answer) else None for a in answers]
        now = perf_counter()
        seconds = [now - arrived for arrived, body in zip(arrivals, answered, strict=True) if body is not None]
        self._seconds.observe_all(seconds)
        self._answered.inc(len(seconds))
        return answered


def _record(body: bytes | bytearray) -> Any:
    """The one record of a body, or None for a body that holds anything else: no model can score it."""
    try:
        value = parse_json(body)
    except NotJson:
        return None
    return value if type(value) is dict else None
