"""Columns of Arrow, of text or typed, as the values that a feature's cells mean: `cells.to_value`, but by columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorehouse.errors import TableError
from scorehouse.tables.cells import MISSING, PLAIN, Notation, is_missing, to_value
from scorehouse.usecase import Feature

_EXACT = 2.0**53
_MISSING = pa.array(sorted(MISSING), pa.string())


def to_values(column: Any, feature: Feature, notation: Notation = PLAIN) -> list[Any]:
    """Return the value of each cell of an Arrow array, None in the gaps."""
    column = plain(column)
    kind = column.type
    if feature.kind in {"number", "integer"}:
        numbers = column
        if pa.types.is_string(kind):
            numbers = parse_numbers(column) if notation.decimal != "," else None
        if numbers is not None and (pa.types.is_floating(numbers.type) or pa.types.is_integer(numbers.type)):
            return _numbers(numbers, whole=feature.kind == "integer")
    elif pa.types.is_integer(kind) and not column.null_count and _coded(feature):
        cells: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
        return cells
    encoded = column.dictionary_encode()
    distinct = [to_value(cell, feature, notation) for cell in encoded.dictionary.to_pylist()]
    return [None if i is None else distinct[i] for i in encoded.indices.to_pylist()]


def to_array(column: Any, feature: Feature, notation: Notation, kind: Any) -> Any:
    """Return the values of the cells as an Arrow array of type `kind`; a value of another type is null."""
    column = plain(column)
    if feature.kind in {"number", "integer"} and pa.types.is_string(column.type) and notation.decimal != ",":
        numbers = parse_numbers(column)
        if numbers is not None:
            return pc.cast(numbers, kind, safe=False)
    encoded = column.dictionary_encode()
    values = [to_value(cell, feature, notation) for cell in encoded.dictionary.to_pylist()]
    if not pa.types.is_string(kind):
        # Remaining text is what the schema counts as missing: "unknown", or a category that training never saw.
        values = [None if isinstance(v, str) else v for v in values]
    if pa.types.is_integer(kind):
        values = [None if v is None else int(v) for v in values]
    return pa.array(values, kind).take(encoded.indices)


def plain(column: Any) -> Any:
    """Return an Arrow array without dictionaries, decimals, days and bytes: of text, numbers or booleans."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.dictionary_decode())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _day_text(column)
    if pa.types.is_float16(kind):
        return column.cast(pa.float32()).cast(pa.float64())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind):
        return column
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return _decoded(column)
    return column.cast(pa.string())  # a decimal's text becomes the nearest float, which Arrow's own cast does not give


def _decoded(column: Any) -> Any:
    try:
        return column.cast(pa.binary()).cast(pa.string())
    except pa.ArrowInvalid as error:
        raise TableError("a column has bytes that are not text: save it as text, or leave it out") from error


def parse_numbers(text: Any) -> Any:
    """Return a column of text as float64 if all its cells are plain numbers or missing; otherwise None.

    Larger whole numbers than a float holds exactly, and infinite ones, are left to `parse_number`.
    """
    numbers = _cast(text)
    if numbers is None:
        lowered = pc.utf8_lower(pc.utf8_trim_whitespace(text))
        numbers = _cast(pc.if_else(pc.is_in(lowered, _MISSING), pa.scalar(None, pa.string()), text))
    if numbers is None:
        return None
    largest = pc.max(pc.abs(numbers)).as_py()
    return numbers if largest is None or (largest <= _EXACT and not pc.any(pc.is_nan(numbers)).as_py()) else None


def is_text(kind: Any) -> bool:
    """Return whether a column of this Arrow type has cells of text."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def missing(text: Any, declared: Any = ()) -> Any:
    """Return which cells of a column of text are missing, (n,) booleans. Words that are `declared` are not."""
    encoded = text.dictionary_encode()
    words = [is_missing(word) and word.strip() not in declared for word in encoded.dictionary.to_pylist()]
    return pc.fill_null(pa.array(words, pa.bool_()).take(encoded.indices), fill_value=True)


def _cast(text: Any) -> Any:
    try:
        return pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        return None


def _day_text(column: Any) -> Any:
    """Return days as 2018-09-26, and with the time of day, by the column's own clock, if it is not midnight."""
    if getattr(column.type, "tz", None):
        column = pc.local_timestamp(column)
    days = pc.cast(column, pa.date32(), safe=False)
    text = days.cast(pa.string())
    if pa.types.is_date(column.type):
        return text
    whole = pc.equal(column, days.cast(column.type))
    return pc.if_else(whole, text, column.cast(pa.string()))


def _numbers(column: Any, whole: bool) -> list[Any]:
    if pa.types.is_integer(column.type):
        if whole:
            cells: list[Any] = (
                column.to_pylist() if column.null_count else column.to_numpy(zero_copy_only=False).tolist()
            )
            return cells
        column = pc.cast(column, pa.float64(), safe=False)
    numbers = column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)  # a null is NaN here
    gaps = np.flatnonzero(np.isnan(numbers))
    if whole:
        filled = np.where(np.isnan(numbers), 0, numbers)
        if not (np.abs(filled) <= _EXACT).all() or (filled != np.trunc(filled)).any():
            return [_whole(n) for n in numbers.tolist()]
        values: list[Any] = filled.astype(np.int64).tolist()
    else:
        values = numbers.tolist()
    for i in gaps:
        values[i] = None
    return values


def _whole(number: float) -> int | float | None:
    if number != number:  # noqa: PLR0124 - NaN
        return None
    return int(number) if number.is_integer() and abs(number) <= _EXACT else number


def _coded(feature: Feature) -> bool:
    return feature.has_number_codes
