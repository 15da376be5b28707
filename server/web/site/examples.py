"""Example records: the one that the features declare, and random ones that belong to no real person."""

from __future__ import annotations

from typing import Any

import numpy as np

from scorehouse.bundles.bundle import Bundle
from scorehouse.scoring.encoding import Column
from scorehouse.usecase import Feature, Value

TEST = {"test": True}  # marks an example that somebody may send unchanged: it is counted in no figure


def example_value(feature: Feature) -> Value:
    """Return the feature's own example, or else any value that is allowed."""
    if feature.example is not None:
        return feature.example
    if feature.categories:
        return feature.categories[0]
    if feature.kind == "date":
        return "2000-01-01"
    low = feature.low if feature.low is not None else min(0.0, feature.high or 0.0)
    return _number(feature, low)


def example_record(features: tuple[Feature, ...], optional: bool = False) -> dict[str, Value]:
    """Return the record of the declared examples: of the required features, or of all if `optional`."""
    return {f.name: example_value(f) for f in features if optional or f.required}


def random_record(bundle: Bundle, rng: np.random.Generator) -> dict[str, Value]:
    """Return a record whose fields are drawn independently, each from another reference row.

    The reference does not contain fields that the model sees only through derived ones: such a category is drawn from
    the declared ones, and such a number is the declared example.
    """
    columns = {c.name: (i, c) for i, c in enumerate(bundle.encoder.columns)}
    record: dict[str, Value] = {}
    for feature in bundle.features:
        if feature.name in columns:
            place, column = columns[feature.name]
            record[feature.name] = _random_value(feature, column, bundle.reference.rows[:, place], rng)
        elif feature.kind == "category":
            record[feature.name] = feature.categories[int(rng.integers(len(feature.categories)))]
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
    if column.codes is not None:
        return next(category for category, code in column.codes.items() if code == value)
    return _number(feature, float(str(value)))  # the shortest decimal that is this float32


def _number(feature: Feature, value: float) -> int | float:
    return int(value) if feature.kind == "integer" else value
