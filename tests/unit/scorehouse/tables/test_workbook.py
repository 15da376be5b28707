"""Workbooks are read only where the rectangle of their cells fits into memory."""

from __future__ import annotations

import io
import struct
import zipfile

import openpyxl
import pytest

from scorehouse.errors import TableError
from scorehouse.tables import workbook as tables
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


def relationship(kind: str, target: str) -> str:
    """Return a part that says what another one is related to."""
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    listed = "http://schemas.openxmlformats.org/package/2006/relationships"
    only = f'<Relationship Id="rId1" Type="{office}/{kind}" Target="{target}"/>'
    return f'<Relationships xmlns="{listed}">{only}</Relationships>'


def with_sheet(name: str, content: bytes, book: bytes) -> io.BufferedReader:
    """Return a workbook whose only sheet is the part `name`, with `content`, as `book` says."""
    ending = name.rpartition(".")[2]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("_rels/.rels", relationship("officeDocument", f"xl/workbook.{ending}"))
        archive.writestr(f"xl/workbook.{ending}", book)
        archive.writestr(f"xl/_rels/workbook.{ending}.rels", relationship("worksheet", name))
        archive.writestr(f"xl/{name}", content)
    file.seek(0)
    return io.BufferedReader(file)


def sheet_of_xml(rows: str) -> io.BufferedReader:
    """Return an xlsx file whose only sheet has `rows`."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    ids = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    sheets = '<sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets>'
    book = f'<workbook xmlns="{main}" xmlns:r="{ids}">{sheets}</workbook>'
    sheet = f'<worksheet xmlns="{main}" xmlns:x="{main}"><sheetData>{rows}</sheetData></worksheet>'
    return with_sheet("worksheets/sheet1.xml", sheet.encode(), book.encode())


def record(kind: int, content: bytes = b"") -> bytes:
    """Return a record of xlsb, of fewer than 128 bytes."""
    number = bytes([kind]) if kind < 128 else bytes([kind & 127 | 128, kind >> 7])
    return number + bytes([len(content)]) + content


def sheet_of_records(*places: tuple[int, int]) -> io.BufferedReader:
    """Return an xlsb file whose only sheet has a number at each row and column of `places`."""
    text = struct.pack("<I", 4) + "rId1".encode("utf-16-le") + struct.pack("<I", 1) + "S".encode("utf-16-le")
    listed = record(143) + record(156, struct.pack("<II", 0, 1) + text) + record(144)
    cells = b"".join(
        record(0, struct.pack("<I13x", row)) + record(5, struct.pack("<IId", column, 0, 2.0)) for row, column in places
    )
    sheet = record(129) + record(148, bytes(16)) + record(145) + cells + record(146) + record(130)
    return with_sheet("worksheets/sheet1.bin", sheet, record(131) + record(153, bytes(12)) + listed + record(132))


CELL = '<row r="1"><c r="A1"><v>1</v></c></row>'


def test_cells_as_other_programs_write_them_are_read() -> None:
    assert read_workbook(sheet_of_xml(f"{CELL}<row r='2'><c r='A2'><v>2</v></c></row>"))[1] == [["2"]]
    assert read_workbook(sheet_of_records((0, 0), (1, 0)))[1] == [["2"]]


@pytest.mark.parametrize(
    "rows",
    [
        "<row r='1048576'><c r='XFD1048576'><v>2</v></c></row>",
        '<row r="1048576"><c r = "XFD1048576"><v>2</v></c></row>',
        '<row r="1048576"><c r="xfd1048576"><v>2</v></c></row>',
        '<row r="1048576"><c r="XFD0001048576"><v>2</v></c></row>',
        f'<row r="1048576">{"<c><v>2</v></c>" * 2000}</row>',
        "<x:row r='1048576'><x:c r='XFD1048576'><x:v>2</x:v></x:c></x:row>",
    ],
)
def test_a_cell_far_away_does_not_end_the_process_however_its_place_is_written(rows: str) -> None:
    with pytest.raises(TableError, match=r"cannot be read with 4 GB of memory: .* save it as CSV"):
        read_workbook(sheet_of_xml(CELL + rows))


def test_a_cell_far_away_in_an_xlsb_file_does_not_end_the_process() -> None:
    with pytest.raises(TableError, match="cannot be read with 4 GB of memory"):
        read_workbook(sheet_of_records((0, 0), (1_048_575, 16_383)))


def test_a_workbook_that_takes_too_long_to_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_SECONDS", 0)
    with pytest.raises(TableError, match="takes more than 0 s to be read: save it as CSV"):
        read_workbook(workbook(A1="a", A2=1))


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


def test_a_hidden_sheet_is_read_only_if_no_other_has_cells() -> None:
    book = openpyxl.Workbook()
    first, second = book.active, book.create_sheet("shown")
    assert first is not None
    first.append(["old"])
    first.append([1])
    first.sheet_state = "hidden"
    second.append(["new"])
    second.append([2])
    file = io.BytesIO()
    book.save(file)
    names, *_ = read_workbook(io.BufferedReader(io.BytesIO(file.getvalue())))  # type: ignore[arg-type]
    assert names == ("new",)
