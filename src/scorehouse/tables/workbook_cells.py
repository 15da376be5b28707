"""Reads the cells of a workbook: `python -m scorehouse.tables.workbook_cells BYTES <FILE`, for `workbook` alone.

It answers on standard output in JSON: the header, the rows, the sheet's row of the first of them and what was read; or
the problem. A file that makes it take more than BYTES of memory ends it.
"""

from __future__ import annotations

import io
import resource
import sys
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import orjson
from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from scorehouse.errors import TableError


def main(most_memory: int) -> None:
    """Answer what standard input contains."""
    resource.setrlimit(resource.RLIMIT_AS, (most_memory, most_memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # where memory runs out earlier, the kernel ends this process before any other
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        found = read_cells(sys.stdin.buffer)
    except TableError as error:
        found = {"problem": str(error)}
    sys.stdout.buffer.write(orjson.dumps(found))


def read_cells(stream: io.BufferedIOBase | Any) -> dict[str, Any]:
    """Return the header, the rows as text, the sheet's row of the first of them, and what was read.

    Raises:
        TableError: it is no workbook, has no cells, or a cell beside its columns.
    """
    try:
        book = CalamineWorkbook.from_filelike(stream)
        found = [s for s in book.sheets_metadata if s.typ == SheetTypeEnum.WorkSheet]
        found.sort(key=lambda sheet: sheet.visible != SheetVisibleEnum.Visible)  # a hidden one is rarely meant
        sheets = [sheet.name for sheet in found]
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
    return {"header": header, "rows": rows, "said": said, "first_row": first + 2}


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


if __name__ == "__main__":
    main(int(sys.argv[1]))
