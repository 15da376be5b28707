"""Valid records of a use case: of the declared examples, with gaps, and random."""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import ceil, floor
from typing import Any

from scorehouse.scoring.field_schema import UNKNOWN
from scorehouse.usecase import Feature, UseCase, Value

WIDEST = 1e9  # bound of a number that has none


def shown(value: Any, most: int = 80) -> str:
    """Return a value as a message shows it: in one line, and not too long."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # an integer of thousands of digits
        text = f"a value of the type {type(value).__name__}"
    return text if len(text) <= most else f"{text[:most]}…"


def example_value(feature: Feature) -> Value:
    """Return the feature's own example, or else any value that is allowed."""
    if feature.example is not None:
        return feature.example
    if feature.kind == "boolean":
        return False
    if feature.categories:
        return feature.categories[0]
    if feature.is_learnt:
        return "a level"
    if feature.is_time:
        low, high = feature.low or 0, feature.high or 9999
        day = f"{2000 if low <= 2000 <= high else max(int(low), 1):04d}-01-01"
        return day if feature.kind == "date" else f"{day}T12:00:00"
    low = feature.low if feature.low is not None else min(0.0, feature.high or 0.0)
    return ceil(low) if feature.kind == "integer" else low


def example_record(features: tuple[Feature, ...], optional: bool = False) -> dict[str, Value]:
    """Return the record of the declared examples: of the required features, or of all if `optional`."""
    return {f.name: example_value(f) for f in features if optional or f.required}


def records_with_gaps(features: tuple[Feature, ...]) -> Iterator[tuple[str, dict[str, Value]]]:
    """Yield the record of the examples, then those with gaps, each with what makes it special.

    Each nullable feature is null in turn, each optional one absent, and each category that may be new is new. At the
    end everything is null or absent.
    """
    full = example_record(features, optional=True)
    yield "the record of the examples", full
    for feature in features:
        if feature.nullable:
            yield f"{feature.name} is null", {**full, feature.name: None}
        if not feature.required:
            yield f"{feature.name} is absent", {k: v for k, v in full.items() if k != feature.name}
        if feature.takes_any_level:
            yield f"{feature.name} is a new category", {**full, feature.name: "a new category"}
    nothing = {f.name: None if f.nullable else full[f.name] for f in features if f.required}
    yield "everything is null or absent", nothing
    yield "everything is null", {f.name: None if f.nullable else full[f.name] for f in features}


def random_records(use_case: UseCase, count: int, seed: int) -> list[dict[str, Any]]:
    """Return `count` records with nulls, bounds, every category and absent fields; the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 - nothing here is secret
    records = [{f.name: _random_value(f, rng) for f in use_case.features} for _ in range(count)]
    optional = [f.name for f in use_case.features if not f.required]
    for record in records:
        for name in optional:
            if rng.random() < 0.25:
                del record[name]
    return records


def _random_clock(rng: random.Random) -> str:
    """Return a time of day in one of the forms that a datetime may have."""
    clock = f"{rng.randrange(24):02d}:{rng.randrange(60):02d}"
    seconds = rng.choice(("", f":{rng.randrange(60):02d}", f":{rng.randrange(60):02d}.{rng.randrange(1000):03d}"))
    return f"{rng.choice('T ')}{clock}{seconds}{rng.choice(('', '', 'Z', '+02:00', '-0530'))}"


def _random_value(feature: Feature, rng: random.Random) -> Any:
    if feature.nullable and rng.random() < 0.15:
        return None
    if feature.kind == "boolean":
        return rng.random() < 0.5
    if feature.is_learnt:
        return rng.choice([str(feature.example), f"level {rng.randrange(100)}", rng.randrange(10_000)])
    if feature.kind == "category":
        return rng.choice([*feature.categories, *([UNKNOWN] if feature.nullable else [])])
    if feature.is_time:
        century = int(feature.low or min(1900, (feature.high or 9999) - 99))
        year = max(century + rng.randrange(100), 1)
        day = f"{year:04d}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        return day if feature.kind == "date" else day + _random_clock(rng)
    low = -WIDEST if feature.low is None else feature.low
    high = WIDEST if feature.high is None else feature.high
    if low > high:  # one bound lies beyond the widest
        low, high = (high - WIDEST, high) if feature.low is None else (low, low + WIDEST)
    kind = rng.random()
    if kind < 0.15:
        value = low if kind < 0.075 else high
    elif kind < 0.6:
        value = low + (high - low) * 10 ** (-6 * rng.random())  # small values are common, and a model looks there
    else:
        value = rng.uniform(low, high)
    value = min(max(value, low), high)
    return min(max(round(value), ceil(low)), floor(high)) if feature.kind == "integer" else value
