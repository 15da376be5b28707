"""Which raw columns a cleaned column is made from: a page's `clean` may be any function, so it is tried out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

Clean = Callable[[pd.DataFrame], pd.DataFrame]
ROWS = 60  # rows on which `clean` is tried
GROUPS = 64  # columns that are changed one by one; of a wider table, this many groups of columns
_EVERY = 3  # one of so many cells is emptied
_LEAK_ROWS = 5


def run_quietly(clean: Clean, table: pd.DataFrame) -> pd.DataFrame:
    """Return what `clean` makes of a copy of `table`, which it may change. Warnings are for the real run only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clean(table.copy())


def find_parents(
    clean: Clean, table: pd.DataFrame, names: Sequence[str], draw_sample: Callable[[], pd.DataFrame | None]
) -> dict[str, tuple[str, ...]]:
    """Return the raw columns of `table` on which each of the cleaned columns `names` depends.

    The cells of a few rows are moved and emptied, a raw column at a time. A cleaned column that never changes, for
    example because `clean` knows none of its raw cells, is tried with rows of the use case's sample. If it does not
    change there, it is taken to depend on the raw column of its own name, if there is one.
    """
    found = _probe(clean, table, names)
    unknown = [name for name in names if not found[name]]
    if unknown and (sample := draw_sample()) is not None:
        columns = sample.columns.intersection(table.columns)
        found |= _probe(clean, sample, unknown, list(columns))
    return {name: tuple(found[name]) or tuple(_alike(name, table.columns)) for name in names}


def _probe(
    clean: Clean, table: pd.DataFrame, names: Sequence[str], columns: Sequence[str] | None = None
) -> dict[str, list[str]]:
    rows = np.unique(np.linspace(0, len(table) - 1, min(ROWS, len(table))).astype(int))
    part = table.iloc[rows].reset_index(drop=True)
    columns = list(table.columns) if columns is None else columns
    parents: dict[str, list[str]] = {name: [] for name in names}
    before = _try(clean, part)
    if before is None:
        return parents

    def probe(group: Sequence[str]) -> None:
        changed = _changed(clean, part, before, group, names)
        if len(group) == 1:
            for name in changed:
                parents[name].append(group[0])
        elif changed:
            probe(group[: len(group) // 2])
            probe(group[len(group) // 2 :])

    for group in np.array_split(np.array(columns, dtype=object), min(GROUPS, len(columns)) or 1):
        if len(group):
            probe(list(group))
    return parents


def depends_on_own_row(clean: Clean, table: pd.DataFrame, raw: str, name: str) -> bool:
    """Return whether the cleaned column `name` of a row changes with the cell of the raw column `raw` in that row.

    A column that is made from other rows only, such as last year's amount, does not.
    """
    part = table.iloc[:ROWS].reset_index(drop=True)
    present = np.flatnonzero(part[raw].notna())
    for row in present[:: max(1, len(present) // _LEAK_ROWS)]:
        others = part[raw][part[raw].notna() & (part[raw] != part[raw][row])]
        changed = part.copy()
        changed[raw] = changed[raw].astype(object)
        changed.at[row, raw] = others.iloc[0] if len(others) else None
        changed[raw] = changed[raw].infer_objects()
        before, after = _try(clean, part), _try(clean, changed)
        if before is None or after is None:
            continue
        if row in before.index and row in after.index and len(before) == len(after):
            a, b = before[name].loc[row], after[name].loc[row]
            if not (a == b or (pd.isna(a) and pd.isna(b))):
                return True
    return False


def _try(clean: Clean, table: pd.DataFrame) -> pd.DataFrame | None:
    try:
        return run_quietly(clean, table)
    except Exception:  # a page's code may raise anything
        return None


def _changed(
    clean: Clean, part: pd.DataFrame, before: pd.DataFrame, columns: Sequence[str], names: Sequence[str]
) -> list[str]:
    """Return the cleaned columns that change if the raw `columns` do."""
    for changed in _changes(part, columns):
        after = _try(clean, changed)
        if after is None:
            continue
        if before.index.equals(after.index):
            return [name for name in names if name not in after or not _same(before[name], after[name])]
        kept = before.index.intersection(after.index)
        if before.index.is_unique and after.index.is_unique and not _is_numbered(before) and not _is_numbered(after):
            return [name for name in names if not _same(before[name].loc[kept], after[name].loc[kept])]
    if len(columns) > 1:
        return list(names)  # not known: look at each half
    return [name for name in names if _alike(name, columns)]


def _changes(part: pd.DataFrame, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    for is_moved, is_emptied in ((True, True), (True, False), (False, True)):
        changed = part.copy()
        for column in columns:
            cells: Any = part[column]
            if is_moved:
                cells = pd.Series(np.roll(cells.to_numpy(), 1), dtype=cells.dtype)
            if is_emptied:
                cells = cells.mask(np.arange(len(part)) % _EVERY == 0)
            changed[column] = cells
        yield changed


def _same(a: pd.Series[Any], b: pd.Series[Any]) -> bool:
    return _values(a) == _values(b)


def _values(column: pd.Series[Any]) -> list[Any]:
    """Return the cells of a column, None for gaps. Lists are compared in a tenth of the time of columns."""
    return [None if gap else value for value, gap in zip(column.tolist(), column.isna().tolist(), strict=True)]


def _is_numbered(table: pd.DataFrame) -> bool:
    """Return whether the rows were numbered again, so that an index says nothing about where a row was."""
    return table.index.equals(pd.RangeIndex(len(table)))


def _alike(name: str, columns: Sequence[str] | pd.Index[Any]) -> list[str]:
    return [c for c in columns if fold_name(c) == fold_name(name)]


def fold_name(name: object) -> str:
    """Return a name as it is compared: without case and punctuation."""
    return "".join(letter for letter in str(name).casefold() if letter.isalnum())
