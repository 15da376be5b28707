"""Checks the bounds that config.json gives to a search."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from scorehouse.scoring.nearest import KnownNames
from scorehouse.usecase import Choice, Range

SHARES = {"subsample", "colsample_bytree", "colsample_bylevel", "colsample_bynode", "max_features"}


def find_fault(name: str, bounds: list[Any], known: Mapping[str, Range | Choice]) -> str | None:
    """Return what is wrong with the bounds (or options) for the dimension `name` of `known`, or None."""
    if name not in known:
        return "unknown dimension" + (f"; did you mean {KnownNames(known).nearest(name)!r}?" if known else "")
    dimension = known[name]
    if isinstance(dimension, Choice):
        allowed = bounds and all(b in dimension.options for b in bounds)
        return None if allowed else f"the allowed options are {', '.join(map(str, dimension.options))}"
    if len(bounds) != 2 or any(isinstance(b, str) for b in bounds):
        return "give two numbers, [low, high]"
    low, high = bounds
    if not (isfinite(low) and isfinite(high)):
        return "both bounds must be finite numbers"
    if not low < high:
        return f"the low bound {low} is not below the high bound {high}"
    if dimension.log and low <= 0:
        return "the scale is logarithmic, so both bounds must be above 0"
    if name in SHARES and not 0 < low < high <= 1:
        return "this is a share, so both bounds must be above 0 and at most 1"
    least = 1 if dimension.integer else 0
    if low < least:
        return f"the low bound must be at least {least}"
    if dimension.integer and not (float(low).is_integer() and float(high).is_integer()):
        return "both bounds must be whole numbers"
    return None
