"""Whether what somebody asks a search to walk through can be searched."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from scorehouse.scoring.nearest import KnownNames
from scorehouse.usecase import Choice, Range

SHARES = {"subsample", "colsample_bytree", "colsample_bylevel", "colsample_bynode", "max_features"}


def fault_of(name: str, bounds: list[Any], known: Mapping[str, Range | Choice]) -> str | None:
    """Return what is wrong with the `bounds` (or options) that a search of the dimension `name` shall have; or None."""
    if name not in known:
        nearest = f", the nearest is {KnownNames(known).nearest(name)!r}" if known else ""
        return f"not searched{nearest}"
    dimension = known[name]
    if isinstance(dimension, Choice):
        others = [b for b in bounds if b not in dimension.options]
        return f"only {', '.join(map(str, dimension.options))}" if others or not bounds else None
    if len(bounds) != 2 or any(isinstance(b, str) for b in bounds):
        return "two numbers, [low, high]"
    low, high = bounds
    if not (isfinite(low) and isfinite(high)):
        return "finite numbers"
    if not low < high:
        return f"the low bound {low} is not below the high one {high}"
    if dimension.log and low <= 0:
        return "its scale is logarithmic, both bounds must be above 0"
    if name in SHARES and not 0 < low < high <= 1:
        return "a share above 0, to 1"
    if low < (least := 1 if dimension.integer else 0):
        return f"no bound below {least}"
    if dimension.integer and not (float(low).is_integer() and float(high).is_integer()):
        return "whole numbers"
    return None
