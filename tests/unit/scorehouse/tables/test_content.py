"""What a file contains is found by its first bytes, and what it unpacks to is bounded."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd

from scorehouse.errors import TableError
from scorehouse.tables import content, table
from scorehouse.tables.content import open_content
from scorehouse.tables.frames import read_frame
from scorehouse.tables.table import Table

TEXT = b"a,b\n1,2\n"


def zipped(*names: str, inner: bytes = TEXT) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, inner)
    return file.getvalue()


@pytest.mark.parametrize(
    ("packed", "layers"),
    [
        (TEXT, ()),
        (gzip.compress(TEXT[:3]) + gzip.compress(TEXT[3:]), ("gzip",)),
        (zstd.compress(TEXT), ("zstd",)),
        (bz2.compress(TEXT), ("bzip2",)),
        (lzma.compress(TEXT), ("xz",)),
        (zipped("t.csv", "__MACOSX/._t.csv"), ("zip",)),
        (zipped("t.csv.gz", inner=gzip.compress(TEXT)), ("zip", "gzip")),
        (gzip.compress(zipped("t.csv")), ("gzip", "zip")),
    ],
)  # fmt: skip
def test_compression_is_found_by_content(packed: bytes, layers: tuple[str, ...]) -> None:
    opened = open_content(io.BytesIO(packed))
    assert (opened.kind, opened.stream.read(), opened.layers) == ("text", TEXT, layers)


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (zipped("a.csv", "b.csv"), r"a zip archive of 2 files \(a.csv, b.csv\)"),
        (zipped(), "a zip archive of 0 files|is not whole zip|is empty"),
        (b"%PDF-1.7", "looks like a PDF"),
        (b"<!DOCTYPE html><html>", "looks like XML or HTML"),
        (b"ARROW1\0\0", "looks like Arrow"),
        (b"ORC\n\x03\0\0\x01", "looks like ORC"),
        (b"PK\x03\x04 and no more", "is not whole zip"),
    ],
)
def test_what_is_no_table_is_refused(packed: bytes, said: str) -> None:
    with pytest.raises(TableError, match=said):
        open_content(io.BytesIO(packed))


@pytest.mark.parametrize("text", [b"ORCID,a\n1,2\n", b"<5,a\n1,2\n", b"%PDFs,a\n1,2\n", b"ARROW1,a\n1,2\n"])
def test_a_name_that_begins_as_another_format_does_is_text(text: bytes) -> None:
    assert open_content(io.BytesIO(text)).kind == "text"


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress, bz2.compress, lzma.compress])
def test_a_torn_file_is_refused(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(TEXT * 1000)
    with pytest.raises(TableError, match="is torn"):
        open_content(io.BytesIO(packed[: len(packed) // 2])).stream.read()


def test_a_file_that_was_made_to_unpack_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_FREE", 2**16)
    bomb = zstd.compress(b"1,2\n" * 2**22)
    assert len(bomb) * 1000 < 2**24
    opened = open_content(io.BytesIO(bomb))
    with pytest.raises(TableError, match="unpacks to more than 1,000 times its size"):
        while opened.stream.read(2**16):
            pass


def test_a_file_in_a_file_in_a_file_is_enough() -> None:
    packed = TEXT
    for _ in range(4):
        packed = gzip.compress(packed)
    with pytest.raises(TableError, match="compressed more than 3 times"):
        open_content(io.BytesIO(packed))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'[{"age": 1}, {"age": 2}]', "is JSON, not a table: save it as CSV or Parquet"),
        (b'{"age": 1}\n{"age": 2}\n', "is JSON, not a table"),
        (b"INSERT INTO t VALUES (1, 'a');\n", "is SQL, not a table"),
        (b"a,b\n" + b"1,2,\n" * 3, "has 3 cells in row 2, but there are 2 columns: has a cell an unquoted separator"),
        (b'a,b,c\n1,"two,3\n4,5,6\n', "a quote in it is not closed"),
    ],
)
def test_what_is_not_a_table_or_not_a_whole_one_is_told_why(content: bytes, words: str) -> None:
    with pytest.raises(TableError, match=re.escape(words)):
        read_frame(content, "t")


def test_a_tar_archive_and_bytes_that_are_not_text_are_named() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"))
    with pytest.raises(TableError, match="t is a tar archive: one table is one file"):
        read_frame(gzip.compress(packed.getvalue()), "t")
    file = io.BytesIO()
    pq.write_table(pa.table({"photo": pa.array([b"\xff\xd8", b"ok"])}), file)
    with pytest.raises(TableError, match="t, 'photo': a column has bytes that are not text"):
        read_frame(file.getvalue(), "t")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
@pytest.mark.parametrize(("rows", "length", "fits"), [(60_000, 200_000, False), (2_000, 100_000, True)])
def test_one_long_text_that_many_rows_of_parquet_have_does_not_fill_the_memory(
    rows: int, length: int, fits: bool, kind: pa.DataType
) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([b"x" * length]).cast(kind))
    file = io.BytesIO()
    pq.write_table(pa.table({"note": texts}), file, compression="zstd")
    assert len(file.getvalue()) < 1000
    read = 0
    try:
        for chunk in Table(file, "t").chunks(500):
            assert chunk.table.nbytes < 2**27
            read += chunk.table.num_rows
    except TableError as error:
        assert not fits and "t has more than 1,073,741,824 bytes of text" in str(error)
    else:
        assert fits and read == rows


def test_bytes_of_a_fixed_length_are_counted_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MOST_TEXT", 10_000)
    file = io.BytesIO()
    pq.write_table(pa.table({"code": pa.array([b"x" * 100] * 200, pa.binary(100))}), file)
    with pytest.raises(TableError, match="more than 10,000 bytes of text"):
        Table(file, "t")
