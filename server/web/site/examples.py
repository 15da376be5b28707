"""Example records: the one that the features declare, and random ones that belong to no real person."""

from __future__ import annotations

from typing import Any

import numpy as np

from scorehouse.bundles.bundle import Bundle
from scorehouse.pages.records import example_value
from scorehouse.scoring.encoding import Column
from scorehouse.usecase import Feature, Value

TEST = {"test": True}  # marks an example that somebody may send unchanged: it is counted in no figure


def random_record(bundle: Bundle, rng: np.random.Generator) -> dict[str, Value]:
    """Return a record whose fields are drawn independently, each from another reference row.

    The reference does not contain fields that the model sees only through derived ones: such a category or boolean is
    any of its values, and such a number is the declared example.
    """
    columns = {c.source: (i, c) for i, c in enumerate(bundle.encoder.columns)}
    record: dict[str, Value] = {}
    for feature in bundle.features:
        if feature.name in columns:
            place, column = columns[feature.name]
            record[feature.name] = _random_value(feature, column, bundle.reference.rows[:, place], rng)
        elif feature.choices and feature.kind in {"category", "boolean"}:
            record[feature.name] = feature.choices[int(rng.integers(len(feature.choices)))]
        else:
            record[feature.name] = example_value(feature)
    return {f.name: record[f.name] for f in bundle.features if f.required or record[f.name] is not None}


def _random_value(
    feature: Feature, column: Column, seen: np.ndarray[Any, np.dtype[np.float32]], rng: np.random.Generator
) -> Value:
    values = seen if feature.nullable else seen[~np.isnan(seen)]
    if not len(values):
        return example_value(feature)
    value = values[int(rng.integers(len(values)))]
    if np.isnan(value):
        return None
    if column.codes:  # the reference has out-of-fold values of learnt levels, which no level has exactly
        return min(column.codes.items(), key=lambda item: abs(item[1] - value))[0]
    if feature.kind == "boolean":
        return bool(value)
    number = float(str(value))  # the shortest decimal that is this float32
    return int(number) if feature.kind == "integer" else number
