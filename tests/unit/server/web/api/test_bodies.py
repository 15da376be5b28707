from __future__ import annotations

import io
from time import process_time
from typing import Any

import orjson
import pytest

from server.web.api.bodies import SMALL, parse, read_body
from server.web.api.problems import Problem


def environ(body: bytes, **more: str) -> dict[str, Any]:
    return {"CONTENT_TYPE": "application/json", "wsgi.input": io.BytesIO(body), **more}


def refused(body: bytes) -> str:
    with pytest.raises(Problem) as caught:
        parse(body)
    assert caught.value.status == 400
    return caught.value.detail


@pytest.mark.parametrize(
    "media", ["application/json", "application/json; charset=utf-8", "Application/JSON", "a/b+json"]
)
def test_every_spelling_of_json_is_read(media: str) -> None:
    assert read_body(environ(b"{}", CONTENT_TYPE=media), 10) == b"{}"


@pytest.mark.parametrize("media", ["", "text/csv", "application/x-www-form-urlencoded", "application/jsonp"])
def test_another_media_type_is_refused(media: str) -> None:
    with pytest.raises(Problem) as caught:
        read_body(environ(b"{}", CONTENT_TYPE=media), 10)
    assert caught.value.status == 415


@pytest.mark.parametrize("declared", ["", "11", "4294967296000"])
def test_a_body_over_the_limit_is_refused_whether_it_declares_its_length_or_not(declared: str) -> None:
    with pytest.raises(Problem, match="10 bytes") as caught:
        read_body(environ(b"x" * 11, CONTENT_LENGTH=declared), 10)
    assert caught.value.status == 413


def test_a_body_at_the_limit_is_read() -> None:
    assert read_body(environ(b"x" * 10, CONTENT_LENGTH="10"), 10) == b"x" * 10


@pytest.mark.parametrize("body", [b"", b"  \n"])
def test_an_empty_body_is_called_empty(body: bytes) -> None:
    assert refused(body) == "the body is empty"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1,]",
        b'{"a": NaN}',
        b"Infinity",
        b"-Infinity",
        b"1e400",
        b'{"a": -1e400}',
        b"\xff",
        b'"\\ud800"',
        b"{'a': 1}",
        b"nope",
        b"\xef\xbb\xbf{}",
        b"9" * 5000,
    ],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert refused(body).startswith("the body is not JSON")


@pytest.mark.parametrize("levels", [200, 900, 950, 990, 1000, 1010, 1023, 1024, 1025, 10_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_deep_nesting_is_read_or_refused_and_never_breaks(levels: int, opening: bytes, closing: bytes) -> None:
    body = opening * levels + b"1" + closing * levels
    try:
        parse(body)
    except Problem as problem:
        assert problem.status == 400
        assert levels > 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'[{"b":1},{"a":1,"a":2}]',
        b'{"x":{"a":1,"a":2}}',
        b'{"a":"x:y","a":2}',
        b'{"\\u0061":1,"a":2}',
        b'[[{"a":1,"a":2}]]',
    ],
)
def test_a_field_that_appears_twice_is_named(body: bytes) -> None:
    assert refused(body) == "the field 'a' appears twice in one object"


@pytest.mark.parametrize("part", [b"[1],", b"[],", b"{},", b'[{"a":[]}],', b'"]",[[]],', b'"\\"",[],[],'])
def test_more_lists_than_records_can_have_are_refused_before_they_are_made(part: bytes) -> None:
    """260,000 of them, 1 MB, hold the interpreter's one lock for .3 s; four such bodies stopped others for .8 s."""
    with pytest.raises(Problem, match="more than 100 records") as caught:
        parse(b"[" + part * SMALL, 100)
    assert caught.value.status == 413


def test_brackets_in_texts_are_no_lists() -> None:
    texts = ["[" * SMALL, '"{[' * 5000, "\\[" * 5000, "\n[{" * 5000]
    assert parse(orjson.dumps(texts), 100) == texts
    rows = {"dataframe_split": {"columns": ["a"], "data": 100 * [["[{[{" * 1000]]}}
    assert parse(orjson.dumps(rows), 100) == rows


def test_the_name_that_appears_twice_is_found_quickly_among_many() -> None:
    """Found in quadratic time, it would hold the loop for .2 s with 13 kB, and a thread for many minutes with 1 MB."""
    once = ",".join(f'"{i}":1' for i in range(60_000))
    began = process_time()
    assert "'z'" in refused(f'{{{once},"z":1,"z":2}}'.encode())
    assert process_time() - began < 5


@pytest.mark.parametrize("body", [b'{"a":"x:y:z"}', b'[{"a":1},{"a":2}]', b'{"a":{"a":1}}', b'":"', b"null", b"[]"])
def test_a_colon_in_a_text_or_the_same_name_in_two_objects_is_no_repetition(body: bytes) -> None:
    parse(body)
