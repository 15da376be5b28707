"""Mistakes of real clients. Each one turns a good record into one that every scorer must reject."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from scorehouse.usecase import UseCase

Record = dict[str, Any]
Fault = Callable[[UseCase, Record, Random], Record | None]  # None: this record cannot have the fault


def missing(use_case: UseCase, record: Record, random: Random) -> Record | None:
    """Leave out a required field."""
    required = [f.name for f in use_case.features if f.required]
    if not required:
        return None
    left_out = random.choice(required)
    return {k: v for k, v in record.items() if k != left_out}


def misspelt(use_case: UseCase, record: Record, random: Random) -> Record | None:
    """Drop a letter from a field's name."""
    known = {f.name for f in use_case.features}
    name = random.choice(sorted(record))
    letter = random.randrange(1, len(name))
    wrong = name[:letter] + name[letter + 1 :]
    return None if wrong in known else {wrong if k == name else k: v for k, v in record.items()}


def wrong_type(use_case: UseCase, record: Record, random: Random) -> Record | None:
    """Send a number as text, and anything else as a list."""
    numbers = {f.name for f in use_case.features if f.kind in {"integer", "number"}}
    name = random.choice(sorted(record))
    return {**record, name: str(record[name]) if name in numbers else [record[name]]}


def out_of_bounds(use_case: UseCase, record: Record, random: Random) -> Record | None:
    """Send an impossible number, such as an age of 260."""
    bounds = [(f.name, b) for f in use_case.features for b in (f.low, f.high) if b is not None and f.name in record]
    if not bounds:
        return None
    name, bound = random.choice(bounds)
    feature = next(f for f in use_case.features if f.name == name)
    beyond = bound - 1 if bound == feature.low else bound * 2 + 1
    return {**record, name: beyond}


FAULTS: dict[str, Fault] = {
    "missing field": missing,
    "misspelt field": misspelt,
    "wrong type": wrong_type,
    "out of bounds": out_of_bounds,
}
NOT_JSON = "not JSON"


def spoil(use_case: UseCase, record: Record, random: Random) -> tuple[str, Record, float]:
    """Return the name of a fault, the record with it, and the share of its bytes to send (1: all of them)."""
    kinds = [*FAULTS, NOT_JSON]
    random.shuffle(kinds)
    for kind in kinds:
        if kind == NOT_JSON:
            break
        spoilt = FAULTS[kind](use_case, record, random)
        if spoilt is not None:
            return kind, spoilt, 1.0
    return NOT_JSON, record, 0.7  # the connection broke off
