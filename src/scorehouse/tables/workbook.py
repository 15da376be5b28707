"""Workbooks (xlsx, xls, xlsb, ods): the first sheet that has cells, each cell as the text that a CSV would have."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date, datetime, time, timedelta
from typing import Any

from scorehouse.errors import TableError
from scorehouse.tables.text import to_names

MOST_UNPACKED = 2**29  # bytes of a workbook's XML, all of which is held
_PART = 2**20
MOST_CELLS = 25_000_000  # of the rectangle that holds them all, which is held: about 50 bytes each
_CELL = re.compile(rb'\br="([A-Z]{1,3})([0-9]{1,7})"')  # where a cell of xlsx says that it is


def read_workbook(stream: io.BufferedReader) -> tuple[tuple[str, ...], list[list[str | None]], str, int]:
    """Return the names, the rows as text, what a person may want to know, and the sheet's row of the first of them.

    Raises:
        TableError: it is too large, no workbook, or has no cells.
    """
    try:
        from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum
    except ImportError as error:
        raise TableError("is a workbook, and python-calamine is not installed in this image: use CSV") from error
    _require_moderate(stream)
    try:
        book = CalamineWorkbook.from_filelike(stream)
        sheets = [s.name for s in book.sheets_metadata if s.typ == SheetTypeEnum.WorkSheet]
        for name in sheets:
            cells = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            first = next((i for i, row in enumerate(cells) if any(cell != "" for cell in row)), None)
            if first is not None:
                break
        else:
            raise TableError("is a workbook without cells")
    except CalamineError as error:
        raise TableError(f"is not a workbook that can be read: {str(error)[:200]}") from error
    said = f"workbook, sheet {name!r}" + (f", one of {len(sheets)}" if len(sheets) > 1 else "")
    header = [_text(cell) for cell in cells[first]]
    while header and not header[-1]:
        header.pop()
    width = len(header)
    rows = [[_text(cell) for cell in row[:width]] for row in cells[first + 1 :]]
    for i, row in enumerate(cells[first + 1 :]):
        if any(cell != "" for cell in row[width:]):
            raise TableError(f"has a cell beside its {width} columns: row {first + 2 + i} of sheet {name!r}")
    return to_names(header), rows, said, first + 2


def _require_moderate(stream: io.BufferedReader) -> None:
    """Unpack every part once and count, because a zip file's own figures may lie."""
    if stream.peek(2)[:2] != b"PK":
        return
    left = MOST_UNPACKED
    try:
        with zipfile.ZipFile(stream) as archive:
            for entry in archive.infolist():
                rows = columns = 1
                with archive.open(entry) as part:
                    end = b""
                    while piece := part.read(_PART):
                        left -= len(piece)
                        if left < 0:
                            raise TableError(f"unpacks to more than {MOST_UNPACKED:,} bytes: save it as CSV")
                        for letters, number in _CELL.findall(end + piece):
                            rows, columns = max(rows, int(number)), max(columns, _column(letters))
                        end = piece[-16:]
                if rows * columns > MOST_CELLS:
                    raise TableError(
                        f"has cells as far apart as {rows:,} rows and {columns:,} columns; at most {MOST_CELLS:,} "
                        "cells are read: remove what is beside the table, or save it as CSV"
                    )
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise TableError(f"is a torn or locked workbook: {error}") from error
    stream.seek(0)


def _column(letters: bytes) -> int:
    """Return the number of a column: 1 for A, 27 for AA."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _text(cell: Any) -> str | None:
    """Return a cell as CSV has it: 50 for the number 50.0, 2018-09-26 for a day, None for nothing."""
    if isinstance(cell, str):
        return cell or None
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime):
        return str(cell.date() if cell.time() == time() else cell)
    if isinstance(cell, bool | int | float | date | time | timedelta):
        return str(cell)
    return None if cell is None else str(cell)
