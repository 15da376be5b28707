"""Checks the bounds that config.json gives to a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

from scorehouse.pages.families import range_fault
from scorehouse.scoring.nearest import KnownNames
from scorehouse.usecase import Choice, Range


def find_fault(name: str, bounds: list[Any], known: Mapping[str, Range | Choice]) -> str | None:
    """Return what is wrong with the bounds (or options) for the dimension `name` of `known`, or None."""
    if name not in known:
        return f"unknown dimension{KnownNames(known).suggest(name)}"
    dimension = known[name]
    if isinstance(dimension, Choice):
        allowed = bounds and all(b in dimension.options for b in bounds)
        return None if allowed else f"the allowed options are {', '.join(map(str, dimension.options))}"
    if len(bounds) != 2 or any(isinstance(b, str) for b in bounds):
        return "give two numbers, [low, high]"
    low, high = bounds
    if not (isfinite(low) and isfinite(high)):
        return "both bounds must be finite numbers"
    return range_fault(name, replace(dimension, low=low, high=high))
