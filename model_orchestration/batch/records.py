"""Turns the columns of a chunk into records as doors get them, and accepted cells back into typed columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorehouse.usecase import Feature

Record = dict[str, Any]


def to_records(chunk: pa.Table, features: Sequence[Feature], text: bool) -> list[Record]:
    """Return one record for each row, with those of `features` that the chunk has. Gaps are None.

    If the cells are `text`, they become numbers first. A cell that should be a number but is not stays as it is, so
    that the schema rejects it with a reason.
    """
    present = [f for f in features if f.name in chunk.schema.names]
    names = [f.name for f in present]
    columns = [to_cells(chunk[f.name].combine_chunks(), f, text) for f in present]
    if not columns:
        return [{} for _ in range(chunk.num_rows)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def to_cells(column: Any, feature: Feature, text: bool) -> list[Any]:
    """Return the cells of a column as JSON would have them."""
    if text and feature.kind != "date":
        column = _parse_numbers(column, feature)
        if isinstance(column, list):
            return column
    kind = column.type
    if pa.types.is_dictionary(kind):
        return to_cells(column.dictionary_decode(), feature, text=False)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _floats(column.cast(pa.float64()))
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        column = column.cast(pa.date32()).cast(pa.string())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        encoded = column.dictionary_encode()
        distinct = encoded.dictionary.to_pylist()
        return [None if i is None else distinct[i] for i in encoded.indices.to_pylist()]
    if pa.types.is_integer(kind) and not column.null_count:
        cells: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
        return cells
    return list(column.to_pylist())


def to_typed_column(column: Any, feature: Feature | None, text: bool) -> Any:
    """Return a column of accepted cells as the answers have it. Text gets the type of its feature."""
    if not text or feature is None or (kind := arrow_type(feature)) == pa.string():
        return column
    cast = _cast(column, kind)
    if cast is not None:
        return cast
    cells = to_cells(column, feature, text)
    if kind == pa.float64():
        return pa.array(cells, kind)
    # Remaining text is what the schema counts as missing: "unknown", or a category that training never saw.
    return pa.array([int(v) if isinstance(v, int | float) else None for v in cells], kind)


def arrow_type(feature: Feature) -> Any:
    """Return the Arrow type of a feature's column."""
    if feature.kind == "number":
        return pa.float64()
    return pa.int64() if feature.kind == "integer" or _has_integer_codes(feature) else pa.string()


def _has_integer_codes(feature: Feature) -> bool:
    return feature.kind == "category" and all(isinstance(c, int) for c in feature.categories)


def _parse_numbers(column: Any, feature: Feature) -> Any:
    """Return text as a column of numbers if all of it is numbers, otherwise cell by cell. Names stay text."""
    if feature.kind == "category" and not any(isinstance(c, int) for c in feature.categories):
        return column
    for kind in (pa.int64(), pa.float64()) if feature.kind == "category" else (pa.float64(),):
        if (cast := _cast(column, kind)) is not None:
            return cast
    names = set(feature.categories)
    return [cell if cell in names else _parse_number(cell) for cell in column.to_pylist()]


def _parse_number(cell: str | None) -> Any:
    try:
        number = float(cell) if cell is not None else None
    except ValueError:
        return cell
    return int(number) if number is not None and number.is_integer() else number


def _cast(column: Any, kind: Any) -> Any:
    try:
        return pc.cast(column, kind)
    except pa.ArrowInvalid:
        return None


def _floats(column: Any) -> list[float | None]:
    numbers = column.to_numpy(zero_copy_only=False)  # a null is NaN here
    cells: list[float | None] = numbers.tolist()
    for i in np.flatnonzero(np.isnan(numbers)):
        cells[i] = None
    return cells
