"""Workbooks are read only where the rectangle of their cells fits into memory."""

from __future__ import annotations

import io
import zipfile

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


def open_document(rows: str, head: str = "") -> io.BufferedReader:
    """Return an ods file whose only sheet has `rows`."""
    names = "".join(f' xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in ("office", "table", "text"))
    body = f'<office:body><office:spreadsheet><table:table table:name="S">{rows}</table:table></office:spreadsheet>'
    root = "office:document-content"
    content = f"<?xml version='1.0'?>{head}<{root}{names}>{body}</office:body></{root}>"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr("content.xml", content)
    file.seek(0)
    return io.BufferedReader(file)


def cell(value: str, repeated: int = 1) -> str:
    """Return a cell of an ods file."""
    return (
        f'<table:table-cell office:value-type="string" table:number-columns-repeated="{repeated}">'
        f"<text:p>{value}</text:p></table:table-cell>"
    )


HEADER = f"<table:table-row>{cell('a')}{cell('b')}</table:table-row>"
LAST = (
    '<table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="16384"/>'
    "</table:table-row>"
)


def test_an_ods_file_is_read_though_its_empty_rows_reach_to_the_end_of_the_sheet() -> None:
    names, rows, *_ = read_workbook(open_document(f"{HEADER}<table:table-row>{cell('1', 2)}</table:table-row>{LAST}"))
    assert (names, rows) == (("a", "b"), [["1", "1"]])


@pytest.mark.parametrize(
    "rows",
    [
        f'<table:table-row table:number-rows-repeated="1048575">{cell("x", 16384)}</table:table-row>',
        f'<table:table-row table:number-rows-repeated="1000000">{cell("x", 10)}</table:table-row>',
        f"{LAST}<table:table-row>{cell('x', 50)}</table:table-row>",
    ],
)
def test_an_ods_file_of_repeated_cells_is_refused_before_memory_is_taken_for_them(rows: str) -> None:
    with pytest.raises(TableError, match=r"has cells as far apart as [\d,]+ rows and [\d,]+ columns"):
        read_workbook(open_document(HEADER + rows))


def test_an_ods_file_that_defines_entities_is_refused() -> None:
    entities = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    with pytest.raises(TableError, match="defines entities"):
        read_workbook(open_document(f"<table:table-row>{cell('&b;')}</table:table-row>", entities))
