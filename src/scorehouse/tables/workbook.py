"""Workbooks (xlsx, xls, xlsb, ods): the first sheet that has cells, each cell as the text that a CSV would have."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from typing import Any
from xml.parsers import expat

import orjson

from scorehouse.errors import TableError
from scorehouse.tables.text import to_names

MOST_UNPACKED = 2**29  # bytes of a workbook's XML, all of which is held
MOST_MEMORY = 2**32  # bytes that reading one may take
MOST_SECONDS = 600  # that reading one may take
_PART = 2**20
MOST_CELLS = 25_000_000  # of the rectangle that holds them all, which is held: about 50 bytes each
FEW_CELLS, MOST_EMPTY = 1_000_000, 20  # beyond so many cells, at most so many of the rectangle for each that is there
_CELL = re.compile(rb'\br="([A-Z]{1,3})([0-9]{1,7})"')  # where a cell of xlsx says that it is


def read_workbook(stream: io.BufferedReader) -> tuple[tuple[str, ...], list[list[str | None]], str, int]:
    """Return the names, the rows as text, what a person may want to know, and the sheet's row of the first of them.

    Raises:
        TableError: it is too large, no workbook, or has no cells.
    """
    if find_spec("python_calamine") is None:
        raise TableError("is a workbook, and python-calamine is not installed in this image: use CSV")
    _require_moderate(stream)
    found = _read_apart(stream)
    return to_names(found["header"]), found["rows"], found["said"], found["first_row"]


def _read_apart(stream: io.BufferedReader) -> dict[str, Any]:
    """Read the cells in a process of its own (`workbook_cells`), which a hostile file ends in place of this one.

    The reader takes memory for the rectangle that a file claims, before it sees a cell of it, and ends its process
    where it gets none. What a file claims is written in too many ways to find them all beforehand.
    """
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as answer:
        shutil.copyfileobj(stream, file, _PART)
        file.seek(0)
        try:
            status = subprocess.run(
                [sys.executable, "-P", "-m", "scorehouse.tables.workbook_cells", str(MOST_MEMORY)],
                stdin=file, stdout=answer, stderr=subprocess.DEVNULL, timeout=MOST_SECONDS, check=False,
                env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},  # it needs no secret
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise TableError(f"takes more than {MOST_SECONDS} s to be read: save it as CSV") from error
        if status:
            raise TableError(
                f"cannot be read with {MOST_MEMORY >> 30} GB of memory: its cells may be too far apart, or it may be "
                "damaged; save it as CSV"
            )
        answer.seek(0)
        found: dict[str, Any] = orjson.loads(answer.read())
    if problem := found.get("problem"):
        raise TableError(problem)
    return found


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
