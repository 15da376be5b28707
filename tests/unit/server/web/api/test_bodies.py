from __future__ import annotations

import gzip
import io
import zlib
from typing import Any

import pytest
from backports import zstd

from scorehouse.scoring.json_text import NotJson
from server.web.api.bodies import CSV, JSON, LINES, Body, parse, parse_body, parse_each_line, read_body
from server.web.api.problems import Problem

ALL = (JSON, LINES, CSV)
TEXT = '{"a": "é"}'


def environ(body: bytes, media: str = JSON, **more: str) -> dict[str, Any]:
    return {"CONTENT_TYPE": media, "wsgi.input": io.BytesIO(body), **more}


def refused(status: int, body: bytes, media: str = JSON, **more: str) -> Problem:
    with pytest.raises(Problem) as caught:
        read_body(environ(body, media, **more), 100, ALL)
    assert caught.value.status == status
    return caught.value


@pytest.mark.parametrize(
    "media", ["application/json", "application/json; charset=utf-8", "Application/JSON", "a/b+json", ""]
)
def test_every_spelling_of_json_is_read_and_a_body_without_a_type_is_json(media: str) -> None:
    assert read_body(environ(b"{}", media), 10) == (b"{}", JSON, True)


@pytest.mark.parametrize("media", ["text/plain", "text/csv", "application/x-www-form-urlencoded", "application/jsonp"])
def test_another_media_type_is_refused(media: str) -> None:
    with pytest.raises(Problem, match=r"send the body as Content-Type: application/json$") as caught:
        read_body(environ(b"{}", media), 10)
    assert caught.value.status == 415


@pytest.mark.parametrize(
    "media", ["application/jsonlines", "application/x-ndjson", "application/jsonl; charset=utf-8", "Application/NDJSON"]
)
def test_json_lines_have_many_names(media: str) -> None:
    body = read_body(environ(b'{"a": 1}\n[2]\n', media), 100, ALL)
    assert parse_body(body, 10) == [{"a": 1}, [2]]


@pytest.mark.parametrize(
    ("media", "has_header"),
    [
        ("text/csv", True),
        ("text/csv; header=present", True),
        ("text/csv;header=absent", False),
        ("text/csv; charset=utf-8; header=ABSENT", False),
        ('Text/CSV; header="absent"', False),
        ("text/csv; label_size=0", True),
    ],
)
def test_a_table_says_whether_it_has_a_header(media: str, has_header: bool) -> None:
    assert read_body(environ(b"1,2", media), 10, ALL) == (b"1,2", CSV, has_header)


@pytest.mark.parametrize("declared", ["", "11", "4294967296000"])
def test_a_body_over_the_limit_is_refused_whether_it_declares_its_length_or_not(declared: str) -> None:
    with pytest.raises(Problem, match="10 bytes") as caught:
        read_body(environ(b"x" * 11, CONTENT_LENGTH=declared), 10)
    assert caught.value.status == 413


def test_a_body_at_the_limit_is_read() -> None:
    assert read_body(environ(b"x" * 10, CONTENT_LENGTH="10"), 10).content == b"x" * 10


@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        (" GZIP ", gzip.compress),
        ("", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", zstd.compress),
        ("", zstd.compress),
        ("identity", bytes),
    ],
)
@pytest.mark.parametrize("media", [JSON, CSV])
def test_a_compressed_body_is_read(coding: str, compress: Any, media: str) -> None:
    sent = environ(compress(b"a" * 1000), media, HTTP_CONTENT_ENCODING=coding)
    assert read_body(sent, 1000, ALL) == (b"a" * 1000, media, True)


@pytest.mark.parametrize("coding", ["br", "compress", "gzip, gzip", "aws-chunked", "x" * 5000])
def test_another_coding_is_refused_with_those_that_are_read(coding: str) -> None:
    problem = refused(415, b"{}", HTTP_CONTENT_ENCODING=coding)
    assert problem.headers == {"Accept-Encoding": "gzip, deflate, zstd"}
    assert problem.detail == "send the body without Content-Encoding, or with one of gzip, deflate, zstd"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_what_is_not_in_the_coding_that_is_named_is_refused(coding: str) -> None:
    assert refused(400, b"{}", HTTP_CONTENT_ENCODING=coding).detail.startswith(f"the body is not whole {coding}: ")


def test_a_body_that_is_over_the_limit_once_it_is_decompressed_is_refused() -> None:
    detail = "the body has more than 100 bytes once it is decompressed"
    assert refused(413, gzip.compress(b"a" * 101), HTTP_CONTENT_ENCODING="gzip").detail == detail
    assert refused(413, gzip.compress(b"a" * 101)).detail == detail


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("utf-16", "utf-16"),
        ("UTF-16LE", "utf-16-le"),
        ("iso-8859-1", "latin-1"),
        ("ISO-8859-15", "iso-8859-15"),
        ("windows-1252", "cp1252"),
        ("utf-8", "utf-8-sig"),
    ],
)
@pytest.mark.parametrize("media", [JSON, LINES])
def test_a_body_in_the_charset_that_it_names_is_read(charset: str, codec: str, media: str) -> None:
    body = read_body(environ(TEXT.encode(codec), f"{media}; charset={charset}"), 100, ALL)
    assert parse_body(body, 10) == ({"a": "é"} if media == JSON else [{"a": "é"}])


def test_a_table_in_the_charset_that_it_names_is_utf_8() -> None:
    body = read_body(environ("name\nJosé\n".encode("latin-1"), "text/csv; charset=latin1"), 100, ALL)
    assert body.content.decode() == "name\nJosé\n"


@pytest.mark.parametrize("charset", ["punycode", "idna", "zip", "unknown-8bit", "x" * 5000])
def test_an_unknown_charset_is_refused(charset: str) -> None:
    assert refused(415, b"{}", f"{JSON}; charset={charset}").detail == (
        "this charset is not known: send the body in UTF-8"
    )


def test_what_is_not_in_its_charset_is_refused() -> None:
    assert refused(400, b"\xff", f"{JSON}; charset=utf-16").detail == "the body is not utf-16, as its Content-Type says"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "the body is empty"),
        (b"{", "the body is not JSON: unexpected end of data: line 1 column 2 (char 1)"),
        (b"a,b\n1,2\n", "the body is not JSON: it looks like CSV"),
        (b'{"a":1,"a":2}', "the body is ambiguous: the field 'a' appears twice in one object"),
        (b"[" * 5000, "the body is nested too deeply"),
    ],
)
def test_what_is_no_json_is_a_400_with_the_reason(body: bytes, detail: str) -> None:
    with pytest.raises(Problem) as caught:
        parse(body, 10)
    assert (caught.value.status, caught.value.detail) == (400, detail)


def test_more_lists_than_records_can_have_are_refused_before_they_are_made() -> None:
    with pytest.raises(Problem, match="more than 100 records") as caught:
        parse(b"[" + b"[]," * 2**17, 100)
    assert caught.value.status == 413


def test_lines_are_as_few_as_records_and_a_bad_one_is_named() -> None:
    values = parse_each_line(b"1\n{\n3\n", 3)
    assert (values[0], values[2]) == (1, 3)
    assert isinstance(values[1], NotJson)
    with pytest.raises(Problem, match=r"^row 1 \(counted from 0\) is not JSON: unexpected end of data"):
        parse_body(Body(b"1\n{\n3\n", LINES), 3)
    for lines in (b"1\n2\n3\n4\n", b"1\n" * 100_000):
        with pytest.raises(Problem, match="more than 3 records") as caught:
            parse_each_line(lines, 3)
        assert caught.value.status == 413
