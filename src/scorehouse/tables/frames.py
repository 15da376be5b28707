"""A whole table as pandas has it, for the pages' `clean`, beside the raw text and the row of each of its cells."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scorehouse.errors import TableError
from scorehouse.tables.cells import MISSING, Notations, find_mark, is_missing, parse_number
from scorehouse.usecase import Feature

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 100_000  # rows that are read at a time
_MOST_ODD = 0.5  # a column of which more cells are no number is a column of text
_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Frame:
    """A table of n rows, and what its file said.

    A column of `table` is numbers where every cell that is not missing is a number (int64, or float64 with NaN for
    gaps; objects if a float could not hold them), bool where every cell is true or false, and otherwise text without
    blanks around it, with None for gaps. Days are text. Its index is the position, 0 to n - 1.
    `rows` are the rows of the file that a person sees, (n,), where a header is row 1. `read_as` says in one line how
    the file was read.
    """

    table: pd.DataFrame
    rows: NDArray[np.int64]
    read_as: str
    raw: Any = None  # the pyarrow.Table of the cells as the file has them; None for a generated table
    notations: Notations | None = None  # how its columns are written, as every reader of the file judges it

    def cell(self, position: int, column: str) -> str | None:
        """Return a cell as the file has it, None if it is empty."""
        cell = self.table[column].iloc[position] if self.raw is None else self.raw[column][position].as_py()
        return None if cell is None or cell != cell else str(cell)  # noqa: PLR0124 - NaN

    def odd(self, column: str) -> list[int]:
        """Return the positions of the cells that are no number in a column where most are; otherwise none."""
        values = self.table[column]
        if values.dtype != object:
            return []
        present = [(i, v) for i, v in enumerate(values) if not is_missing(v)]
        decimal = self.decimal(column)
        odd_cells = {v for v in {v for _, v in present} if isinstance(v, str) and parse_number(v, decimal) is None}
        odd = [i for i, v in present if v in odd_cells]
        return odd if len(odd) <= _MOST_ODD * len(present) else []

    def decimal(self, column: str) -> str:
        """Return the decimal mark that the text of a column shows; a point if it shows none."""
        mark = find_mark([v for v in self.table[column] if isinstance(v, str)])
        return mark if mark in {".", ","} else "."


def frame_of(table: pd.DataFrame) -> Frame:
    """Return a table that no file contains: its rows are counted from 1."""
    return Frame(table.reset_index(drop=True), np.arange(1, len(table) + 1), "")


def read_frame(
    content: bytes, source: str, features: Sequence[Feature] = (), marks: Sequence[str | int | float] = ()
) -> Frame:
    """Return the table in `content`: CSV in any usual form, Parquet or a workbook, compressed or not.

    `features` say which words are categories and not missing values, and which categories look like numbers: a column
    of a feature's name, but for case and punctuation, is read as that feature needs. `marks` stand for a missing value
    besides the usual words: beside one of them, numbers stay text, but are written plainly.

    Raises:
        TableError: it cannot be read, is nested, or has two columns of one name.
    """
    try:
        import pyarrow as pa

        from scorehouse.tables.table import Table
    except ImportError as error:
        raise TableError(f"{source} cannot be read: pyarrow is not installed in this image") from error
    import pandas as pd

    opened = Table(io.BytesIO(content), source)
    if opened.nested:
        raise TableError(f"{source} has nested columns, which are not read: {', '.join(opened.nested[:5])}")
    _require_distinct_folded(opened.schema.names, source)
    chunks = list(opened.chunks(_ROWS))
    raw = pa.Table.from_batches([b for c in chunks for b in c.table.to_batches()], opened.schema).combine_chunks()
    rows = np.concatenate([c.rows for c in chunks]) if chunks else np.empty(0, dtype=np.int64)
    words_for_none = frozenset(str(mark).strip().casefold() for mark in marks)
    by_name = {_bare_name(f.name): f for f in features}
    declared = frozenset(c for f in features for c in f.categories if isinstance(c, str) and c.lower() in MISSING)
    table = pd.DataFrame(index=pd.RangeIndex(raw.num_rows))
    columns = {}
    for name in raw.schema.names:
        feature = by_name.get(_bare_name(name))
        words = declared if feature is None else frozenset(feature.categories)
        decimal, stays_text = opened.notations.decimal(name), _stays_text(feature)
        try:
            columns[name] = _to_pandas(_whole(raw[name]), decimal, stays_text, words, words_for_none)
        except TableError as error:
            raise TableError(f"{source}, {name!r}: {error}") from error
    return Frame(pd.DataFrame(columns, index=table.index), rows, opened.read_as, raw, opened.notations)


def _whole(column: Any) -> Any:
    """Return a column of one piece."""
    import pyarrow as pa

    combined = column.combine_chunks()
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined


def _to_pandas(
    column: Any, decimal: str, stays_text: bool, declared: frozenset[Any], marks: frozenset[str] = frozenset()
) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    from scorehouse.tables.columns import missing, parse_numbers, plain

    column = plain(column)
    if pa.types.is_boolean(column.type):
        return column.to_pandas()
    if not pa.types.is_string(column.type):
        return _numbers(column.to_pylist()) if _long(column) else column.to_pandas()
    if not stays_text:
        numbers = parse_numbers(column) if decimal != "," and not declared else None
        if numbers is not None and numbers.null_count < len(numbers):
            return _as_integers(numbers, column)
    gaps = missing(column, declared)
    present = pc.drop_null(pc.if_else(gaps, pa.scalar(None, pa.string()), column)).unique().to_pylist()
    if not stays_text and present:
        parsed = {cell: parse_number(cell, decimal) for cell in present}
        if None not in parsed.values():
            return _numbers([None if cell is None else parsed.get(cell) for cell in column.to_pylist()])
        truths = {cell: _TRUTHS.get(cell.strip().lower()) for cell in present}
        if None not in truths.values():
            values = [None if cell is None else truths.get(cell) for cell in column.to_pylist()]
            return np.array(values, dtype=object if None in values else bool)
        if plainly := _write_plainly(parsed, marks):
            return np.array([None if cell is None else plainly.get(cell) for cell in column.to_pylist()], dtype=object)
    cleared = pc.if_else(gaps, pa.scalar(None, pa.string()), pc.utf8_trim_whitespace(column))
    return np.array(cleared.to_pylist(), dtype=object)


def _write_plainly(parsed: Mapping[str, int | float | None], marks: frozenset[str]) -> dict[str, str]:
    """Return cells without what only `parse_number` reads, if all are numbers but for `marks`; otherwise nothing."""
    if not all(number is not None or cell.strip().casefold() in marks for cell, number in parsed.items()):
        return {}
    plainly = {}
    for cell, number in parsed.items():
        try:
            float(cell)
            plainly[cell] = cell.strip()
        except ValueError:
            plainly[cell] = cell.strip() if number is None else str(number)
    return plainly


_TRUTHS = {"true": True, "false": False}


def _long(column: Any) -> bool:
    """Return whether a column of whole numbers has gaps, and some numbers that a float would change."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_integer(column.type) or not column.null_count:
        return False
    return any(abs(n) > _EXACT for n in pc.drop_null(column).unique().to_pylist())


def _as_integers(numbers: Any, text: Any) -> Any:
    """Return float64, or int64 if no cell is missing and each is written as a whole number, as pandas does."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if numbers.null_count:
        return numbers.to_numpy(zero_copy_only=False)
    try:
        return pc.cast(text, pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return numbers.to_numpy(zero_copy_only=False)


def _numbers(values: list[Any]) -> Any:
    """Return int64 if all are whole, float64 if none is beyond what a float holds exactly, or else the objects."""
    if all(isinstance(v, int) and abs(v) < 2**63 for v in values):
        return np.array(values, dtype=np.int64)
    if any(isinstance(v, int) and abs(v) > _EXACT for v in values):
        return np.array(values, dtype=object)
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _stays_text(feature: Feature | None) -> bool:
    """Return whether numbers in a feature's column are names of categories."""
    if feature is None or feature.kind != "category":
        return False
    return feature.is_learnt or any(isinstance(c, str) for c in feature.categories)


def _bare_name(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _require_distinct_folded(names: Sequence[str], source: str) -> None:
    """Raise TableError for names that differ only in case: many pages lower them."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise TableError(f"{source} has the columns {other!r} and {name!r}, which differ only in case: remove one")
