from __future__ import annotations

import gzip
import json
import math
import tracemalloc
from base64 import b64encode, encodebytes, urlsafe_b64encode
from time import process_time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorehouse.scoring.json_text import SMALL, NotJson, TooManyParts, parse_json, parse_lines, plain_object

RECORD = {"age": 50, "gender": "M", "limit": 4000.5, "note": "a:b NaN é [{"}
JSON = json.dumps(RECORD, ensure_ascii=False).encode()


def refused(data: bytes) -> str:
    with pytest.raises(NotJson) as caught:
        parse_json(data)
    return str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(JSON, id="plain"),
        pytest.param(bytearray(JSON), id="a bytearray"),
        pytest.param(b"\xef\xbb\xbf" + JSON, id="a byte order mark"),
        pytest.param(JSON.decode().encode("utf-16"), id="UTF-16"),
        pytest.param(JSON.decode().encode("utf-16-le"), id="UTF-16 without a mark"),
        pytest.param(JSON.decode().encode("utf-16-be"), id="UTF-16, the other order"),
        pytest.param(JSON.decode().encode("utf-32"), id="UTF-32"),
        pytest.param(json.dumps(JSON.decode()).encode(), id="encoded twice"),
        pytest.param(json.dumps("\n " + JSON.decode()).encode("utf-16"), id="encoded twice, in UTF-16"),
        pytest.param(b64encode(JSON), id="base64"),
        pytest.param(encodebytes(JSON), id="base64 in lines"),
        pytest.param(b"\xef\xbb\xbf" + b64encode(JSON), id="a byte order mark before base64"),
        pytest.param(b64encode(b"\xef\xbb\xbf" + JSON), id="a byte order mark in base64"),
        pytest.param(b64encode(json.dumps(JSON.decode()).encode()), id="base64 of what is encoded twice"),
    ],
)
def test_a_record_is_read_however_its_client_wrapped_it(data: bytes) -> None:
    assert parse_json(data) == RECORD


def test_nan_is_a_gap_and_infinity_a_text_that_no_number_field_accepts() -> None:
    value = {"a": math.nan, "b": [math.inf, -math.inf], "c": "NaN Infinity", "d": 'x"NaN', "e": "\\"}
    read = {"a": None, "b": ["Infinity", "-Infinity"], "c": "NaN Infinity", "d": 'x"NaN', "e": "\\"}
    for indent in (None, 2):
        assert parse_json(json.dumps(value, indent=indent).encode()) == read
    assert parse_json(b"NaN") is None
    assert parse_json(json.dumps(json.dumps(value)).encode()) == read


@pytest.mark.parametrize("text", ["hello", "{hello", "[", '"{}"', "", "7"])
def test_a_text_that_holds_no_record_stays_a_text(text: str) -> None:
    assert parse_json(json.dumps(text).encode()) == text


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[1,]",
        b"1e400",
        b'{"a": -1e400}',
        b"\xff",
        b'"\\ud800"',
        b"nope",
        b"9" * 5000,
        b"[xNaN]",
        b"[NaNNaN]",
        b"[-NaN]",
        b"[1Infinity]",
        b"{NaN: 1}",
        b"[Infinityx]",
        b"\xef\xbb\xbf{",
    ],
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    assert refused(data).startswith("is not JSON: ")


@pytest.mark.parametrize("data", [b"", b"  \n", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n", " ".encode("utf-16")])
def test_an_empty_body_is_called_empty(data: bytes) -> None:
    assert refused(data) == "is empty"


@pytest.mark.parametrize(
    ("data", "like"),
    [
        (gzip.compress(JSON), "gzip"),
        (b64encode(gzip.compress(JSON)), "gzip in base64"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"PK\x03\x04\x14", "a zip archive (an xlsx file is one)"),
        (b"Obj\x01\x04\x14avro.codec", "Avro"),
        (b"\xf3\x89\x9a\xc2\x0a\x04key0\x1a", "records aggregated by the Kinesis Producer Library (protobuf)"),
        (b"\x0a\x05hello\x10\x96\x01", "protobuf"),
        (b"\x82\xa3age\x32\xa6gender\xa1M", "MessagePack"),
        (b"\x91\x82\xa3age\x32\xa6gender\xa1M", "MessagePack"),
        (b"age,gender\n50,M\n", "CSV"),
        (b"age;gender\r\n50;M\r\n", "CSV"),
        (b"50,M,4000.5", "CSV"),
        (JSON + b"\n" + JSON, "several JSON values: send one per line, as JSON lines"),
        (JSON + JSON, "several JSON values: send one per line, as JSON lines"),
        (b"[1, 2]\n[3, 4]", "several JSON values: send one per line, as JSON lines"),
        (b"age=50&gender=M", "a form (name=value)"),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n', "a multipart form"),
        (b"<record age='50'/>", "XML or HTML"),
        (repr(RECORD).encode(), "a printed Python object (single quotes): send json.dumps of it"),
        (b'{"a": None}', "a printed Python object: send json.dumps of it"),
        (b'[{"a": nan}]', "a printed Python object: send json.dumps of it"),
        (b"'" + JSON + b"'", "JSON in single quotes, which the Windows command prompt does not remove"),
        (b"{age: 50, gender: M}", "JSON whose quotes a shell has removed"),
        (b'{\\"age\\": 50}', "JSON with a backslash before each quote"),
        ("{“age”: 50}".encode(), "JSON with typographic quotes"),
        (b"@record.json", "the name of a file, not its content"),
        (b"%7B%22age%22%3A50%7D", "a URL-encoded text"),
        (
            '{"name": "José"}'.encode("latin-1"),
            "Latin-1 or Windows-1252 text (the byte 0xe9 at position 13 is not UTF-8): send UTF-8, or name the charset",
        ),
        (b"\xc3\x28\xff\x01\x99", "binary data"),
    ],
)
def test_the_reason_says_which_format_it_looks_like(data: bytes, like: str) -> None:
    assert refused(data) == f"is not JSON: it looks like {like}"


def test_json_with_a_slip_is_refused_at_its_place() -> None:
    assert refused(b'{"a": 1,\n "b": }').endswith("line 2 column 7 (char 15)")
    assert refused(b'{"a": 1,}') == "is not JSON: trailing comma is not allowed: line 1 column 8 (char 7)"


def test_base64_of_json_with_a_slip_is_refused_for_the_slip() -> None:
    slip = b'{"a": 1,}'
    assert refused(b64encode(slip)) == refused(slip)
    assert refused(b64encode(slip + b" ")).startswith("is not JSON: trailing comma")


def test_base64_of_either_alphabet_is_read_with_and_without_padding() -> None:
    record = {"a": "\u00fb\u00ff\u00fe???>>>"}
    data = json.dumps(record, ensure_ascii=False).encode()
    for encode in (b64encode, urlsafe_b64encode):
        assert parse_json(encode(data)) == parse_json(encode(data).rstrip(b"=")) == record


@pytest.mark.parametrize(
    "data",
    [b"[]", b"7", b'{"a": 1, "a": 2}', b'{"a": {"b": 1, "b": 2}}', b'{"a": "10:30"}', b"{", b'{"a": NaN}', b"\x1f\x8b"],
)
def test_only_a_plain_object_is_one(data: bytes) -> None:
    assert plain_object(data) is None


def test_a_plain_object_is_what_parse_json_reads() -> None:
    for data in (b"{}", b'{"a": 1, "b": null}', b'{"a": {"b": 1}, "c": 2}', b' {"a": 1}\n'):
        assert plain_object(data) == parse_json(data)


@pytest.mark.parametrize("levels", [200, 900, 950, 990, 1000, 1010, 1023, 1024, 1025, 10_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]"), (b"[NaN,", b"]")])
def test_deep_nesting_is_read_or_refused_and_never_breaks(levels: int, opening: bytes, closing: bytes) -> None:
    data = opening * levels + b"1" + closing * levels
    for form in (data, b64encode(data), orjson.dumps(data.decode())):
        try:
            parse_json(form)
        except NotJson as fault:
            assert levels > 200
            assert form is not data or str(fault) == "is nested too deeply"


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'[{"b":1},{"a":1,"a":2}]',
        b'{"x":{"a":1,"a":2}}',
        b'{"a":"x:y","a":2}',
        b'{"\\u0061":1,"a":2}',
        b'[[{"a":1,"a":2}]]',
        b'{"a":NaN,"a":2}',
        b'\xef\xbb\xbf{"a":1,"a":2}',
        b64encode(b'{"a":1,"a":2}'),
        b'"{\\"a\\":1,\\"a\\":2}"',
    ],
)
def test_a_field_that_appears_twice_is_named(data: bytes) -> None:
    assert refused(data) == "is ambiguous: the field 'a' appears twice in one object"


@pytest.mark.parametrize("data", [b'{"a":"x:y:z"}', b'[{"a":1},{"a":2}]', b'{"a":{"a":1}}', b'":"', b"null", b"[]"])
def test_a_colon_in_a_text_or_the_same_name_in_two_objects_is_no_repetition(data: bytes) -> None:
    parse_json(data)


def test_the_name_that_appears_twice_is_found_quickly_among_many() -> None:
    """Found in quadratic time, it would hold the loop for .2 s with 13 kB, and a thread for many minutes with 1 MB."""
    once = ",".join(f'"{i}":1' for i in range(60_000))
    began = process_time()
    assert "'z'" in refused(f'{{{once},"z":1,"z":2}}'.encode())
    assert process_time() - began < 5


@pytest.mark.parametrize("part", [b"[1],", b"[],", b"{},", b'[{"a":[]}],', b'"]",[[]],', b'"\\"",[],[],'])
@pytest.mark.parametrize(
    "wrap", [bytes, b64encode, lambda data: orjson.dumps(data.decode()), lambda d: b"\xef\xbb\xbf" + d]
)
def test_more_lists_than_allowed_are_refused_before_they_are_made(part: bytes, wrap: Any) -> None:
    """260,000 of them, 1 MB, hold the interpreter's one lock for .3 s; four such bodies stopped others for .8 s."""
    with pytest.raises(TooManyParts, match="more than 1,000 objects and lists"):
        parse_json(wrap(b"[" + part * (SMALL // 2) + b"1]"), 1000)


def test_brackets_in_texts_are_no_lists() -> None:
    texts = ["[" * SMALL, '"{[' * 5000, "\\[" * 5000, "\n[{" * 5000]
    assert parse_json(orjson.dumps(texts), 1000) == texts


@pytest.mark.parametrize(
    "data",
    [
        b"NaN," * 2**18,
        b"[" + b'"",NaN,' * 2**17,
        b'["NaN",' + b"NaN," * 2**18,
        b'"' + b"\\" * 2**20,
        b'NaN"' + b'\\"' * 2**19,
        b"[" * 2000 + b'"' + b'\\"' * 2**19,
        b'"NaN' + b"\\" * 2**20,
        b"[" + b":" * 2**20,
        b"[:" + b" " * 2**20,
        b"a" + b"," * 2**20 + b"{",
        b"a=" + b"&a=" * 2**18 + b" {",
        b"{" + b" " * 2**20,
        b"\x0a" * 2**20,
        b"A" * 2**20,
        b"\xff" * 2**20,
        b"\x00" * 2**20,
        b"\xff\xfe" + b"[\x00" * 2**19,
    ],
)
def test_a_megabyte_that_is_no_json_is_refused_quickly(data: bytes) -> None:
    began = process_time()
    with pytest.raises((NotJson, TooManyParts)):
        parse_json(data, 1000)
    assert process_time() - began < 0.5


def test_lines_are_read_one_by_one_and_a_bad_one_costs_the_others_nothing() -> None:
    values = parse_lines(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": \n{"a": NaN}\n[7, 8]\n"x"\n')
    assert isinstance(values.pop(1), NotJson)
    assert values == [{"a": 1}, {"a": None}, [7, 8], "x"]
    assert parse_lines('{"a": "é"}\n{"a": 2}'.encode("utf-16")) == [{"a": "é"}, {"a": 2}]
    for nothing in (b"", b"\n \r\n"):
        with pytest.raises(NotJson, match="is empty"):
            parse_lines(nothing)
    with pytest.raises(TooManyParts):
        parse_lines(b"[]\n" * SMALL, 1000)


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), _VALUES, max_size=5))
def test_every_object_is_read_as_it_was_written(value: dict[str, Any]) -> None:
    text = json.dumps(value)
    for form in (text.encode(), b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16"), b64encode(text.encode())):
        assert parse_json(form) == value


@settings(deadline=None)
@given(st.binary())
def test_no_bytes_break_it(data: bytes) -> None:
    try:
        parse_json(data, 1000)
    except NotJson as fault:
        assert str(fault).startswith(("is not JSON: ", "is empty", "is ambiguous: ", "is nested"))


def test_what_may_be_base64_is_not_cut_into_pieces() -> None:
    text = b"ab " * 2**20
    tracemalloc.start()
    with pytest.raises(NotJson):
        parse_json(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 18 * len(text)  # orjson alone takes 12 times as much
