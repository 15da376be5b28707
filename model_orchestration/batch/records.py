"""Turns the columns of a chunk into records as doors get them, and accepted cells back into typed columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from scorehouse.tables.cells import PLAIN, Notation
from scorehouse.tables.columns import is_text, to_array, to_values
from scorehouse.usecase import Feature

Record = dict[str, Any]
Written = Mapping[str, Notation]  # how the column of a feature is written; plainly, if it is not here


def to_records(chunk: pa.Table, features: Sequence[Feature], written: Written) -> list[Record]:
    """Return one record for each row, with those of `features` that the chunk has. Gaps are None.

    A cell that should be a number but is not stays as it is, so that the schema rejects it with a reason.
    """
    present = [f for f in features if f.name in chunk.schema.names]
    names = [f.name for f in present]
    columns = [to_values(chunk[f.name].combine_chunks(), f, written.get(f.name, PLAIN)) for f in present]
    if not columns:
        return [{} for _ in range(chunk.num_rows)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def to_typed_column(column: Any, feature: Feature | None, written: Written) -> Any:
    """Return a column of accepted cells as the answers have it. The text of a feature becomes its values."""
    if feature is None or not is_text(column.type):
        return column
    return to_array(column, feature, written.get(feature.name, PLAIN), arrow_type(feature))


def arrow_type(feature: Feature) -> Any:
    """Return the Arrow type of a feature's column."""
    kind: str = feature.kind
    if kind == "number":
        return pa.float64()
    if kind == "boolean":
        return pa.bool_()
    return pa.int64() if kind == "integer" or _has_integer_codes(feature) else pa.string()


def _has_integer_codes(feature: Feature) -> bool:
    return feature.has_number_codes
