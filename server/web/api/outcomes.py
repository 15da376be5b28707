"""Outcomes, checked before they are journalled."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

from scorehouse.scoring.classes import Classes
from scorehouse.usecase import Task
from server.web.api.problems import Problem

_SHOWN = 20  # classes that a fault names
_WORDS = {"binary": "0 or 1 (or false or true)", "amount": "a finite number", "ordinal": "a whole number"}


def to_outcomes(value: Any, task: Task, most: int, classes: Classes = ()) -> list[dict[str, Any]]:
    """Return outcomes (prediction_id, outcome as a float: of several classes, the place of the class).

    Raises Problem: 413, or 422 with everything wrong.
    """
    places = {str(name): float(place) for place, name in enumerate(classes)}
    outcomes = value if isinstance(value, list) else [value]
    if len(outcomes) > most:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a list must not contain more than {most:,} outcomes")
    faults = [{"index": i, "problem": fault} for i, one in enumerate(outcomes) if (fault := _fault(one, task, places))]
    if faults:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"{len(faults)} of {len(outcomes)} outcomes cannot be accepted, so none was accepted",
            errors=faults,
        )
    return [{"prediction_id": one["prediction_id"], "outcome": _number(one["outcome"], places)} for one in outcomes]


def _number(outcome: Any, places: dict[str, float]) -> float:
    return places[str(outcome)] if places else float(outcome)


def _fault(one: Any, task: Task, places: dict[str, float]) -> str | None:
    if not isinstance(one, dict) or set(one) != {"prediction_id", "outcome"}:
        return 'an outcome must be {"prediction_id": "…", "outcome": …}, with no other field'
    id_ = one["prediction_id"]
    if not isinstance(id_, str) or not 1 <= len(id_) <= 128 or not all("!" <= c <= "~" for c in id_):
        return "prediction_id must be the text that /predict returned"
    if places:
        return None if _is_class(one["outcome"], places) else f"outcome must be {_one_of(list(places))}"
    return None if _is_outcome(one["outcome"], task) else f"outcome must be {_WORDS[task]}"


def _is_class(outcome: Any, places: dict[str, float]) -> bool:
    is_short = isinstance(outcome, str) or (type(outcome) is int and abs(outcome) < 2**63)
    return is_short and str(outcome) in places


def _one_of(classes: list[str]) -> str:
    more = f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else ""
    return f"one of {', '.join(map(repr, classes[:_SHOWN]))}{more}"


def _is_outcome(outcome: Any, task: Task) -> bool:
    if task == "binary":
        return outcome in (0, 1)
    if (
        isinstance(outcome, bool)
        or not isinstance(outcome, int | float)
        or not math.isfinite(outcome)
        or abs(outcome) > 1e15
    ):
        return False
    return task == "amount" or float(outcome).is_integer()
