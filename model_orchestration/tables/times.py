"""The time of each row, where a use case is split by time: the earliest rows train models, the newest judge them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from scorehouse.errors import TableError
from scorehouse.tables.dates import day_orders, parse_time

LEAST = 3  # different times, one for each side


def read_times(column: pd.Series[Any], order: str | None = None) -> NDArray[Any]:
    """Return the time of each cell, (n,), as datetime64 in UTC, or as it is in a column of numbers, such as years.

    It is NaT or NaN where a cell is neither a day nor a time. `order` is that of days whose year comes last, by default
    the one that the column shows. A time without an offset counts as UTC.
    """
    if types.is_numeric_dtype(column) and not types.is_bool_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    text = column.astype(str)
    cells = text.unique()
    order = day_orders(cells) if order is None else order
    read = pd.to_datetime(pd.Series([parse_time(cell, order) for cell in cells]), utc=True, format="ISO8601")
    by_cell = dict(zip(cells, read.dt.tz_localize(None), strict=True))
    return pd.to_datetime(text.map(by_cell)).to_numpy(dtype="datetime64[us]")


def split_by_time(times: NDArray[Any], shares: tuple[float, ...]) -> NDArray[np.int8]:
    """Return the split of each row, (n,): the earliest rows are 0, the newest have the highest number.

    Rows of one time are on one side, so that `shares` are only nearly kept.
    """
    return np.searchsorted(_cuts(times, shares), times, side="right").astype(np.int8)


def first_tested(times: NDArray[Any], shares: tuple[float, ...]) -> str:
    """Return the earliest time of the rows that judge models, as text."""
    cut = _cuts(times, shares)[-1]
    return str(np.datetime_as_string(cut, unit="s")) if np.issubdtype(times.dtype, np.datetime64) else f"{cut:.15g}"


def is_not_later(time: str, other: str) -> bool:
    """Return whether one text of `first_tested` is a time at or before another, of the same column."""
    try:
        return float(time) <= float(other)
    except ValueError:
        return time <= other


def _cuts(times: NDArray[Any], shares: tuple[float, ...]) -> NDArray[Any]:
    """Return the first time of each side but the earliest, each as near to its share of rows as whole times allow."""
    different, counts = np.unique(times, return_counts=True)
    sides = len(shares) + 1
    if len(different) < sides:
        raise TableError(f"the rows have only {len(different)} different times, but a split by time needs {sides}")
    before = np.cumsum(counts)[:-1] / len(times)  # the share of rows before different[1], different[2], …
    cuts, earliest = [], 0
    for side, share in enumerate(np.cumsum(shares)):
        last = len(before) - (len(shares) - 1 - side)  # leaves a time for each later side
        place = earliest + int(np.abs(before[earliest:last] - share).argmin())
        cuts.append(place + 1)
        earliest = place + 1
    return different[cuts]
