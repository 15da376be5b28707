"""Workbooks are read only where the rectangle of their cells fits into memory."""

from __future__ import annotations

import io

import openpyxl
import pytest

from scorehouse.errors import TableError
from scorehouse.tables.workbook import read_workbook


def workbook(**cells: object) -> io.BufferedReader:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for place, value in cells.items():
        sheet[place] = value
    file = io.BytesIO()
    book.save(file)
    return io.BufferedReader(io.BytesIO(file.getvalue()))  # type: ignore[arg-type]


def test_cells_side_by_side_are_read() -> None:
    names, rows, _, first = read_workbook(workbook(A1="a", B1="b", A2=1, B2=2.5))
    assert (names, rows, first) == (("a", "b"), [["1", "2.5"]], 2)


@pytest.mark.parametrize("place", ["XFD1048576", "ZZ99999"])
def test_a_cell_far_away_is_refused_before_memory_is_taken_for_all_between(place: str) -> None:
    with pytest.raises(TableError, match=r"has cells as far apart as [\d,]+ rows and [\d,]+ columns"):
        read_workbook(workbook(A1="a", A2=1, **{place: 1}))
