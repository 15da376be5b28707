"""Random records that a use case allows: nulls, bounds, every category, missing optional fields, and all between."""

from __future__ import annotations

import random
from typing import Any

from scorehouse.scoring.field_schema import UNKNOWN
from scorehouse.usecase import Feature, UseCase

WIDEST = 1e9  # bound of a number that has none


def random_records(use_case: UseCase, count: int, seed: int) -> list[dict[str, Any]]:
    """Return `count` records; the same for the same seed."""
    rng = random.Random(seed)
    records = [{f.name: _value(f, rng) for f in use_case.features} for _ in range(count)]
    optional = [f.name for f in use_case.features if not f.required]
    for record in records:
        for name in optional:
            if rng.random() < 0.25:
                del record[name]
    return records


def _value(feature: Feature, rng: random.Random) -> Any:
    if feature.nullable and rng.random() < 0.15:
        return None
    if feature.kind == "category":
        return rng.choice([*feature.categories, *([UNKNOWN] if feature.nullable else [])])
    if feature.kind == "date":
        return f"{int(feature.low or 1900) + rng.randrange(100)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    low = -WIDEST if feature.low is None else feature.low
    high = WIDEST if feature.high is None else feature.high
    kind = rng.random()
    if kind < 0.15:
        value = low if kind < 0.075 else high
    elif kind < 0.6:
        value = low + (high - low) * 10 ** (-6 * rng.random())  # small values are common, and a model looks there
    else:
        value = rng.uniform(low, high)
    value = min(max(value, low), high)
    return round(value) if feature.kind == "integer" else value
