"""Workbooks (xlsx, xls, xlsb, ods): the first sheet that has cells, each cell as the text that a CSV would have."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date, datetime, time, timedelta
from typing import Any
from xml.parsers import expat

from scorehouse.errors import TableError
from scorehouse.tables.text import to_names

MOST_UNPACKED = 2**29  # bytes of a workbook's XML, all of which is held
_PART = 2**20
MOST_CELLS = 25_000_000  # of the rectangle that holds them all, which is held: about 50 bytes each
FEW_CELLS, MOST_EMPTY = 1_000_000, 20  # beyond so many cells, at most so many of the rectangle for each that is there
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
                present = 0
                sheet = _OpenDocument() if entry.filename == "content.xml" else None
                with archive.open(entry) as part:
                    end = b""
                    while piece := part.read(_PART):
                        left -= len(piece)
                        if left < 0:
                            raise TableError(f"unpacks to more than {MOST_UNPACKED:,} bytes: save it as CSV")
                        if sheet:
                            sheet.feed(piece)
                            continue
                        for letters, number in _CELL.findall(end + piece):
                            rows, columns = max(rows, int(number)), max(columns, _column(letters))
                            present += 1
                        end = piece[-16:]
                if sheet:
                    rows, columns, present = sheet.rows, sheet.columns, sheet.present
                _require_dense(rows, columns, present)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise TableError(f"is a torn or locked workbook: {error}") from error
    stream.seek(0)


def _require_dense(rows: int, columns: int, present: int) -> None:
    """Raise TableError if cells are so far apart that the rectangle which holds them would fill the memory."""
    if rows * columns > MOST_CELLS or rows * columns > max(FEW_CELLS, MOST_EMPTY * present):
        raise TableError(
            f"has cells as far apart as {rows:,} rows and {columns:,} columns; at most {MOST_CELLS:,} cells are read, "
            "and few of them may be empty: remove what is beside the table, or save it as CSV"
        )


class _OpenDocument:
    """How far apart the cells of an ods file are, of which each row and cell may be repeated a million times."""

    def __init__(self) -> None:
        self.rows, self.columns, self.present = 0, 0, 0  # of the largest sheet; cells as they are written
        self._row = self._column = self._last = self._repeated = 0
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.EntityDeclHandler = self._refuse

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of content.xml. Raises TableError."""
        try:
            self._parser.Parse(piece)
        except expat.ExpatError as error:
            raise TableError(f"is a torn workbook: {error}") from error

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "table:table":
            self._row = 0
        elif name == "table:table-row":
            self._column = self._last = 0
            self._repeated = _count(attributes.get("table:number-rows-repeated"))
        elif name in {"table:table-cell", "table:covered-table-cell"}:
            self._column += _count(attributes.get("table:number-columns-repeated"))
            if any(attribute.startswith(("office:", "calcext:")) for attribute in attributes):
                self._last, self.present = self._column, self.present + 1
        elif name == "text:p":
            self._last = self._column

    def _end(self, name: str) -> None:
        if name == "table:table-row":
            self._row += self._repeated
            if self._last:
                self.rows, self.columns = max(self.rows, self._row), max(self.columns, self._last)

    def _refuse(self, *_: object) -> None:
        raise TableError("is a workbook that defines entities, which are not read: save it again")


def _count(repeated: str | None) -> int:
    return int(repeated) if repeated and repeated.isdigit() and len(repeated) < 10 else 1


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
