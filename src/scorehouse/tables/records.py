"""Records from a table in a request's body, for a process without pyarrow: the same values as `columns` gives."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from scorehouse.errors import TableError
from scorehouse.scoring.compression import BadCompression, require_few_members
from scorehouse.tables.cells import Notations, to_values
from scorehouse.tables.content import HEAD, open_content
from scorehouse.tables.text import (
    HEAD_ROWS,
    UNNAMED,
    BadNames,
    Decoder,
    Layout,
    decode_head,
    find_encoding,
    find_layout,
    head_rows,
    is_blank,
    is_torn,
    rows_of,
    torn_row,
)
from scorehouse.usecase import Feature

MOST_BYTES = 2**24  # of a body once it is unpacked


class TooManyRows(TableError):
    """The table has more rows than the caller allows; no more were read."""


def read_records(
    body: bytes, features: Sequence[Feature], most: int, header: bool = True, most_bytes: int = MOST_BYTES
) -> list[dict[str, Any]]:
    """Return one record for each row of a CSV `body`: text, compressed once or not.

    A column that is no feature stays text; one without a name is left out. Without a `header` the columns are the
    features in their order. Memory and time do not depend on what the body unpacks to, beyond `most_bytes`.

    Raises:
        TableError: it cannot be read. The message has no subject: `is empty`.
        BadNames: the first row names no feature, or two columns have one name.
        TornRow: a row has too few or too many cells.
        TooManyRows: it has more than `most` rows.
    """
    try:
        require_few_members(body)
    except BadCompression as error:
        raise TableError(str(error)) from error
    # One layer only: the members of an inner one could be counted only by reading them, and each costs time.
    content = open_content(io.BytesIO(body), most_layers=1, most=most_bytes)
    if content.kind != "text":
        raise TableError(f"is a table, but no CSV: it is {'Parquet' if content.kind == 'Parquet' else 'a workbook'}")
    plain = content.stream.read(most_bytes + 1) if content.layers else body
    if content.layers and len(plain) > most_bytes:
        raise TooManyRows(f"unpacks to more than {most_bytes:,} bytes")
    encoding = find_encoding(plain[:HEAD])
    head = decode_head(plain[:HEAD], encoding)
    whole = len(plain) < HEAD
    layout = find_layout(head, whole, () if header else [f.name for f in features])
    by_name = {f.name: f for f in features}
    if not by_name.keys() & set(layout.names):
        raise BadNames("must name the columns in its first row, as this model's fields are called")
    text = Decoder(encoding).decode(plain, last=True)
    rows = _read(text if text.endswith(("\n", "\r")) else text + "\n", layout, most)
    shown = rows[:HEAD_ROWS] if whole else head_rows(head, layout, whole)
    names = layout.names
    notations = Notations(dict(zip(names, zip(*shown, strict=True), strict=False)), layout.separator)
    columns = []
    for name, cells in zip(names, zip(*rows, strict=True), strict=False):
        feature = by_name.get(name)
        columns.append(
            [c or None for c in cells] if feature is None else to_values(cells, feature, notations.of(feature))
        )
    kept = [i for i, name in enumerate(names) if not name.startswith(UNNAMED)]
    return [
        dict(zip([names[i] for i in kept], [row[i] for i in kept], strict=True)) for row in zip(*columns, strict=True)
    ]


def _read(text: str, layout: Layout, most: int) -> list[list[str]]:
    width = len(layout.names)
    rows: list[list[str]] = []
    for number, row in enumerate(rows_of(text, layout), layout.row + layout.header):
        if is_blank(row):
            continue
        if len(row) != width:
            raise torn_row(number, len(row), width, is_torn(text, row[-1], layout))
        if len(rows) == most:
            raise TooManyRows(f"has more than {most:,} records")
        rows.append(row)
    if rows and is_torn(text, rows[-1][-1], layout):
        raise TableError("is cut off: it ends within quotes")
    return rows
