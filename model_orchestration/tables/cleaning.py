"""Runs a page's `clean` on a raw table. If it fails, the cell or the column that it cannot read is found and named."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from model_orchestration.tables.faults import closest, write
from model_orchestration.tables.lineage import fold_name, run_quietly
from scorehouse.errors import TableError, UseCaseError
from scorehouse.tables.cells import is_missing, parse_number
from scorehouse.tables.frames import Frame
from scorehouse.usecase import UseCase

SAMPLE_ROWS = 400  # of the use case's sample: they show what a table should look like
MOST_NAMES = 20  # columns that a message lists


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What `clean` made of a raw table.

    `raw` is the table as `clean` accepted it, and `table` is what came out, with rows counted from 0. `positions`,
    (rows,), are those of its rows in `raw`, and -1 where this cannot be known. `unreadable` are the positions of cells
    that were emptied because they are no numbers, by raw column.
    """

    raw: pd.DataFrame
    table: pd.DataFrame
    positions: NDArray[np.int64]
    unreadable: dict[str, list[int]] = field(default_factory=dict)


def clean_table(frame: Frame, use_case: UseCase) -> Cleaned:
    """Return the cleaned table.

    If `clean` fails on a column because of its type, it gets the type that `clean` expects: numbers without the cells
    that are none, or text.

    Raises:
        TableError: a column is missing, or `clean` fails on a cell. The message names it.
    """
    try:
        return clean_once(use_case, frame.table)
    except TableError as error:  # `clean` reads cells by our own functions, which name the column and the value
        cell = _find_failing_cell(frame, use_case)
        raise TableError(f"{error} (first in row {frame.rows[cell[0]]})" if cell else str(error)) from error
    except Exception as error:
        sample = draw_sample(use_case)
        if missing := _missing_columns(frame.table, use_case, sample, error):
            raise TableError(_describe_missing(missing, frame.table, use_case)) from error
        for raw, unreadable in _retyped(frame, sample):
            try:
                return replace(clean_once(use_case, raw), unreadable=unreadable)
            except TableError:
                raise
            except Exception as next_error:
                error = next_error
        raise TableError(_describe_failure(frame, use_case, error)) from error


def draw_sample(use_case: UseCase) -> pd.DataFrame | None:
    """Return a few rows of the use case's sample, or None if it has none that can be drawn."""
    try:
        return pd.DataFrame(use_case.draw_sample(SAMPLE_ROWS, 1))
    except UseCaseError:  # training on a table needs no sample; messages say less without one
        return None


def clean_once(use_case: UseCase, raw: pd.DataFrame) -> Cleaned:
    """Return what `clean` makes of a copy of `raw`.

    Raises:
        TableError: it is no table.
        Exception: whatever `clean` raises.
    """
    table: Any = run_quietly(use_case.clean, raw)
    if not isinstance(table, pd.DataFrame):
        kind = type(table).__name__
        raise TableError(f"clean of {use_case.name} must return a pandas.DataFrame, but it returned {kind}")
    twice = sorted({str(c) for c in table.columns[table.columns.duplicated()]})
    if twice:
        raise TableError(f"clean of {use_case.name} returns more than one column named {', '.join(map(repr, twice))}")
    return Cleaned(raw, table.reset_index(drop=True), _positions(raw, table))


def _positions(raw: pd.DataFrame, table: pd.DataFrame) -> NDArray[np.int64]:
    """Return the position in `raw` of each row of `table`, -1 where this cannot be known.

    `clean` may drop and sort rows, and the index then still says where a row was, unless `clean` numbered the rows
    again. Rows that were dropped before that are found by their values.
    """
    index = table.index
    if len(table) < len(raw) and index.equals(pd.RangeIndex(len(table))):
        return _match(raw, table)
    if index.is_unique and index.isin(raw.index).all():
        return index.to_numpy(dtype=np.int64)
    return np.arange(len(raw)) if len(table) == len(raw) else np.full(len(table), -1, dtype=np.int64)


def _match(raw: pd.DataFrame, table: pd.DataFrame) -> NDArray[np.int64]:
    """Return where the rows of `table`, a part of `raw` in the same order, are in `raw`, by the columns of one name."""
    by_name = {fold_name(c): c for c in raw.columns}
    shared = [(by_name[fold_name(c)], c) for c in table.columns if fold_name(c) in by_name]
    shared = [(r, c) for r, c in shared if table[c].dropna().isin(raw[r].dropna()).all()]
    positions = np.full(len(table), -1, dtype=np.int64)
    if not shared:
        return positions
    left = list(zip(*(raw[r].astype(object).where(raw[r].notna(), None) for r, _ in shared), strict=True))
    right = zip(*(table[c].astype(object).where(table[c].notna(), None) for _, c in shared), strict=True)
    at = 0
    for i, row in enumerate(right):
        while at < len(left) and left[at] != row:
            at += 1
        if at == len(left):
            return np.full(len(table), -1, dtype=np.int64)
        positions[i] = at
        at += 1
    return positions


def _missing_columns(
    table: pd.DataFrame, use_case: UseCase, sample: pd.DataFrame | None, error: Exception
) -> list[str]:
    """Return the raw columns that `clean` needs and the table lacks, if that is why it failed with `error`."""
    if not isinstance(error, KeyError | AttributeError):
        return []
    if sample is not None:
        absent = [c for c in sample.columns if c not in table.columns]
        return [c for c in absent if _is_needed(c, table, use_case, sample)]
    if isinstance(error, AttributeError):
        found = [error.name] if isinstance(error.obj, pd.DataFrame) and error.name else []
    elif "pandas" not in Path(traceback.extract_tb(error.__traceback__)[-1].filename).parts:
        found = []  # a cell that is not in a dict of the page
    else:
        said = str(error.args[0]) if error.args else ""
        found = re.findall(r"'([^']+)'(?=[,\]])", said) or [said]
    return [name for name in found if name not in table.columns]


def _is_needed(column: str, table: pd.DataFrame, use_case: UseCase, sample: pd.DataFrame) -> bool:
    """Return whether `clean` fails without `column`, and also with the table's column of that name in another case."""
    if not _fails(use_case.clean, sample.drop(columns=column)):
        return False
    alike = [c for c in table.columns if c.casefold() == column.casefold()]
    return not alike or _fails(use_case.clean, sample.rename(columns={column: alike[0]}))


def _fails(clean: Callable[[pd.DataFrame], pd.DataFrame], table: pd.DataFrame) -> bool:
    try:
        run_quietly(clean, table)
    except Exception:
        return True
    return False


def _describe_missing(missing: list[str], table: pd.DataFrame, use_case: UseCase) -> str:
    named = []
    for name in missing[:MOST_NAMES]:
        found = closest(name, table.columns)
        named.append(f"{name!r}" + (f" (did you mean {found!r}?)" if found else ""))
    noun = "column" if len(missing) == 1 else "columns"
    more = f" and {len(missing) - MOST_NAMES} more" if len(missing) > MOST_NAMES else ""
    return f"the table has no {noun} {', '.join(named)}{more}, which {use_case.name} needs; {list_columns(table)}"


def list_columns(table: pd.DataFrame) -> str:
    """Return `its columns are a, b, c`."""
    more = f" and {len(table.columns) - MOST_NAMES} more" if len(table.columns) > MOST_NAMES else ""
    return f"its columns are {', '.join(map(str, table.columns[:MOST_NAMES]))}{more}"


def _retyped(frame: Frame, sample: pd.DataFrame | None) -> Iterator[tuple[pd.DataFrame, dict[str, list[int]]]]:
    """Yield the table with columns of other types, and the cells that were emptied for it."""
    table = frame.table.copy()
    unreadable = {column: odd for column in table.columns if (odd := frame.odd(column))}
    for column, odd in unreadable.items():
        table[column] = to_numbers(table[column].mask(table.index.isin(odd)), frame.decimal(column))
    if unreadable:
        yield table, unreadable
    if sample is not None:
        for column in table.columns.intersection(sample.columns):
            if types.is_object_dtype(sample[column]) and not types.is_object_dtype(table[column]):
                table[column] = _to_text(table[column])
            elif types.is_numeric_dtype(sample[column]) and not types.is_numeric_dtype(table[column]):
                numbers = to_numbers(table[column], frame.decimal(column))
                bad = np.flatnonzero(numbers.isna() & ~table[column].map(is_missing))
                unreadable |= {column: bad.tolist()} if len(bad) else {}
                table[column] = numbers
        yield table, unreadable
        return
    for column in [c for c in table.columns if table[c].isna().all()]:
        table[column] = _to_text(table[column])
    yield table, unreadable
    for column in [c for c in table.columns if not types.is_object_dtype(table[c])]:
        yield table.assign(**{column: _to_text(table[column])}), unreadable


def to_numbers(column: pd.Series[Any], decimal: str) -> pd.Series[Any]:
    """Return a column as numbers, text as the table reader reads it: `$4,000` is 4000. NaN for what is no number."""
    if types.is_object_dtype(column):
        numbers = {cell: parse_number(cell, decimal) for cell in column.unique() if isinstance(cell, str)}
        column = column.map(lambda cell: numbers.get(cell, cell) if isinstance(cell, str) else cell)
    return pd.to_numeric(column, errors="coerce")


def _to_text(column: pd.Series[Any]) -> pd.Series[Any]:
    whole = types.is_float_dtype(column) and (column.dropna() % 1 == 0).all()
    text = (column.astype("Int64") if whole else column).astype("string")
    return text.astype(object).where(column.notna(), None)


def _describe_failure(frame: Frame, use_case: UseCase, error: Exception) -> str:
    """Return which cell makes `clean` fail or, if no single cell does, where in the page it fails."""
    why = f"{type(error).__name__}: {error}".partition("\n")[0]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "use_cases" in Path(f.filename).parts]
    where = f" (use_cases/{Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    said = f"clean of {use_case.name} fails{where} with {why}"
    cell = _find_failing_cell(frame, use_case)
    if cell is None:
        return f"{said}; {list_columns(frame.table)}"
    position, column = cell
    if column is None:
        return f"row {frame.rows[position]} cannot be read: {said}"
    value = frame.cell(position, column)
    return f"{column}: row {frame.rows[position]}, {write(value)}, cannot be read: {said}"


def _find_failing_cell(frame: Frame, use_case: UseCase) -> tuple[int, str | None] | None:
    """Return the position of the first row on which `clean` fails, and the column whose cell is the reason."""
    table = frame.table
    good, bad = 0, len(table)  # clean fails on the rows from `good` to `bad`, and not on those before them
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (good, middle) if _fails(use_case.clean, _typed(table[good:middle], frame)) else (middle, bad)
    row = _typed(table[good : good + 1], frame)
    if not _fails(use_case.clean, row):
        return None
    for other in (good - 1, good + 1):
        if not 0 <= other < len(table) or _fails(use_case.clean, _typed(table[other : other + 1], frame)):
            continue
        for column in table.columns:
            repaired = table[good : good + 1].copy()
            repaired[column] = table[column].iloc[other]
            if not _fails(use_case.clean, _typed(repaired, frame)):
                return good, column
    return good, None


def _typed(part: pd.DataFrame, frame: Frame) -> pd.DataFrame:
    """Return a part of a table as if it were the whole: a column of text that is all numbers here is numbers."""
    part = part.reset_index(drop=True)
    for column in part.select_dtypes(object):
        numbers = to_numbers(part[column], frame.decimal(str(column)))
        if numbers.notna().equals(part[column].notna()) and numbers.notna().any():
            part[column] = numbers
    return part
