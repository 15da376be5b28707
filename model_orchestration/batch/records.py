"""Columns of a chunk to records as doors get them: plain numbers and text, null for a gap; and back, typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorehouse.usecase import Feature

Record = dict[str, Any]


def records(chunk: pa.Table, features: Sequence[Feature], text: bool) -> list[Record]:
    """Return one record a row, with those of `features` that the chunk has. Cells of `text` become numbers first.

    A cell that is no number where one belongs stays as it is: the schema refuses it, with its reason, in its place.
    """
    here = [f for f in features if f.name in chunk.schema.names]
    names = [f.name for f in here]
    columns = [values(chunk[f.name].combine_chunks(), f, text) for f in here]
    if not columns:
        return [{} for _ in range(chunk.num_rows)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def values(column: Any, feature: Feature, text: bool) -> list[Any]:
    """Return a column's cells as JSON would have them."""
    if text and feature.kind != "date":
        column = _numbers(column, feature) if isinstance(column, pa.Array) else column
        if isinstance(column, list):
            return column
    kind = column.type
    if pa.types.is_dictionary(kind):
        return values(column.dictionary_decode(), feature, text=False)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _floats(column.cast(pa.float64()))
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        column = column.cast(pa.date32()).cast(pa.string())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        coded = column.dictionary_encode()
        known = coded.dictionary.to_pylist()
        return [None if i is None else known[i] for i in coded.indices.to_pylist()]
    if pa.types.is_integer(kind) and not column.null_count:
        plain: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
        return plain
    return list(column.to_pylist())


def typed(column: Any, feature: Feature | None, text: bool) -> Any:
    """Return a column of accepted cells as the answers hold it: what was text, by its feature's kind."""
    if not text or feature is None or (kind := arrow_type(feature)) == pa.string():
        return column
    cast = _cast(column, kind)
    if cast is not None:
        return cast
    cells = values(column, feature, text)
    if kind == pa.float64():
        return pa.array(cells, kind)
    # text is what the schema took for missing: "unknown", or a category that training never saw
    return pa.array([int(v) if isinstance(v, int | float) else None for v in cells], kind)


def arrow_type(feature: Feature) -> Any:
    """Return the type of a feature's column."""
    if feature.kind == "number":
        return pa.float64()
    return pa.int64() if feature.kind == "integer" or _whole(feature) else pa.string()


def _whole(feature: Feature) -> bool:
    return feature.kind == "category" and all(isinstance(c, int) for c in feature.categories)


def _numbers(column: Any, feature: Feature) -> Any:
    """Text as whole numbers or numbers, where all of it is; else cell by cell; a name's text as it is."""
    if feature.kind == "category" and not any(isinstance(c, int) for c in feature.categories):
        return column
    for kind in (pa.int64(), pa.float64()) if feature.kind == "category" else (pa.float64(),):
        if (cast := _cast(column, kind)) is not None:
            return cast
    names = set(feature.categories)
    return [cell if cell in names else _number(cell) for cell in column.to_pylist()]


def _number(cell: str | None) -> Any:
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
    cells: list[float | None] = column.to_numpy(zero_copy_only=False).tolist()  # a null is NaN here
    for place in np.flatnonzero(np.isnan(column.to_numpy(zero_copy_only=False))):
        cells[place] = None
    return cells
