"""What stream records contain, however a producer packed it, and what hostile ones cost."""

from __future__ import annotations

import gzip
import json
import os
import random
import tracemalloc
import zlib
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

import orjson
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from scorehouse.scoring.schema import Rejected
from scorehouse.streams import packing
from scorehouse.streams.packing import MOST_LAYERS, MOST_PARTS, MOST_UNPACKED, SLICE, original, slices, unpack
from tests.aggregates import aggregate, sealed

R, S = {"x": 1}, {"x": 2}
gz = partial(gzip.compress, mtime=0)
Found = list[tuple[str, str, Any]]


def record(data: bytes, sequence: int = 7) -> dict[str, Any]:
    return {"SequenceNumber": str(sequence), "PartitionKey": "outer", "Data": data}


def found(data: bytes) -> Found:
    """Return the index, the partition key, and the value or the reason of each part."""
    parts, _ = unpack(record(data))
    assert all(part["SequenceNumber"] == "7" for part, _ in parts)
    return [
        (part.get("Index", ""), part["PartitionKey"], value.reason if isinstance(value, Rejected) else value)
        for part, value in parts
    ]


def lines(*values: Any, end: bytes = b"\n") -> bytes:
    return end.join(orjson.dumps(value) for value in values)


def reason(data: bytes) -> str:
    [(index, _, why)] = found(data)
    assert index == ""
    assert isinstance(why, str)
    return why


ONE = [("", "outer", R)]
TWO = [("0", "outer", R), ("1", "outer", S)]
KEYED = [("0", "a", R), ("1", "b", S)]
AGGREGATE = aggregate([("a", orjson.dumps(R)), ("b", orjson.dumps(S))])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b'{"x": 1}', ONE, id="plain"),
        pytest.param(b'\n{\n  "x": 1\n}\n', ONE, id="indented"),
        pytest.param(b'{"x": 1}\r\n', ONE, id="one line"),
        pytest.param(b'\xef\xbb\xbf{"x": 1}', ONE, id="a byte order mark"),
        pytest.param(b'{"x": NaN}', [("", "outer", {"x": None})], id="NaN"),
        pytest.param(json.dumps(json.dumps(R)).encode(), ONE, id="encoded twice"),
        pytest.param(b64encode(b'{"x": 1}'), ONE, id="base64"),
        pytest.param(lines(R, S), TWO, id="lines"),
        pytest.param(lines(R, S, end=b"\r\n") + b"\r\n", TWO, id="lines of Windows"),
        pytest.param(lines(R, S, end=b"\n\n \n"), TWO, id="blank lines between"),
        pytest.param(b"\xef\xbb\xbf" + lines(R, S), TWO, id="lines after a byte order mark"),
        pytest.param(lines(R, S).decode().encode("utf-16"), TWO, id="lines in UTF-16"),
        pytest.param(b64encode(lines(R, S)), TWO, id="lines in base64"),
        pytest.param(lines(R, S, end=b"\r"), TWO, id="lines of an old Mac"),
        pytest.param(b"\x1e" + lines(R, S, end=b"\n\x1e") + b"\n", TWO, id="RFC 7464"),
        pytest.param(b"\x1e" + lines(R) + b"\n", ONE, id="one record of RFC 7464"),
        pytest.param(b"\t" + lines(R, S, end=b"\n\t"), TWO, id="indented lines"),
        pytest.param(b64encode(lines(R)) + b"\n" + b64encode(lines(S)), TWO, id="lines of base64"),
        pytest.param(orjson.dumps(b64encode(gz(b'{"x": 1}')).decode()), ONE, id="gzip in base64 as a JSON text"),
        pytest.param(urlsafe_b64encode(gz(b'{"x": 1}')).rstrip(b"="), ONE, id="base64 for addresses, without padding"),
        pytest.param(b64encode(b64encode(gz(b'{"x": 1}'))), ONE, id="gzip in base64 twice"),
        pytest.param(lines(lines(R).decode(), lines(S).decode()), TWO, id="lines that were encoded twice"),
        pytest.param(encodebytes(AGGREGATE), KEYED, id="base64 in lines"),
        pytest.param(b"\x50\x2a\x4d\x18\x01\0\0\0a" + zstd.compress(b'{"x": 1}'), ONE, id="pzstd"),
        pytest.param(orjson.dumps([R, S]), TWO, id="list"),
        pytest.param(orjson.dumps([R, S], option=orjson.OPT_INDENT_2), TWO, id="an indented list"),
        pytest.param(b'[\n{"x": 1},\n{"x": 2}\n]', TWO, id="a list with a line for each item"),
        pytest.param(orjson.dumps([R]), [("0", "outer", R)], id="a list of one"),
        pytest.param(json.dumps(json.dumps([R, S])).encode(), TWO, id="a list encoded twice"),
        pytest.param(gz(b'{"x": 1}'), ONE, id="gzip"),
        pytest.param(zstd.compress(b'{"x": 1}'), ONE, id="zstd"),
        pytest.param(zlib.compress(b'{"x": 1}'), ONE, id="zlib"),
        pytest.param(zlib.compress(b'{"x": 1}', 1), ONE, id="fast zlib"),
        pytest.param(gz(b'{"x": 1}\n') + gz(b'{"x": 2}\n'), TWO, id="two gzip members"),
        pytest.param(gz(lines(R, S)), TWO, id="gzipped lines"),
        pytest.param(gz(orjson.dumps([R, S])), TWO, id="a gzipped list"),
        pytest.param(b64encode(gz(b'{"x": 1}')), ONE, id="gzip in base64"),
        pytest.param(AGGREGATE, KEYED, id="aggregate"),
        pytest.param(aggregate([("a", b'{"x": 1}')]), [("0", "a", R)], id="an aggregate of one"),
        pytest.param(gz(AGGREGATE), KEYED, id="a gzipped aggregate"),
        pytest.param(b64encode(AGGREGATE), KEYED, id="an aggregate in base64"),
        pytest.param(
            aggregate([("a", gz(b'{"x": 1}')), ("b", zstd.compress(b'{"x": 2}'))]),
            KEYED,
            id="compressed parts",
        ),
        pytest.param(
            aggregate([("a", lines(R, S)), ("b", b'{"x": 2}')]),
            [("0:0", "a", R), ("0:1", "a", S), ("1", "b", S)],
            id="lines in an aggregate",
        ),
        pytest.param(
            b64encode(gz(aggregate([("a", gz(orjson.dumps([R, S])))]))),
            [("0:0", "a", R), ("0:1", "a", S)],
            id="all at once",
        ),
        pytest.param(aggregate([("a", AGGREGATE)]), [("0:0", "a", R), ("0:1", "b", S)], id="an aggregate in another"),
        pytest.param(b'{"a": {"x": 1}\n}', [("", "outer", {"a": R})], id="a record whose first line ends with a brace"),
    ],
)
def test_a_record_contains(data: bytes, expected: Found) -> None:
    assert found(data) == expected


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"nonsense", "is not JSON"),
        (b'{"x": 1', "is not JSON"),
        (b'{"x": 1, "x": 2}', "is ambiguous: the field 'x' appears twice in one object"),
        (b'{"x": 1}{"x": 2}', "is not JSON: it looks like several JSON values"),
        (b'[\n{"x": 1},\n{"x": 2}\n', "is not JSON"),  # a torn list, not lines
        (b'{\n"x": 1,\n}\n', "is not JSON"),
        (b"[]", "contains no record"),
        (b"[" * 2000, "is nested too deeply"),
        (gz(b""), "is empty"),
        (gz(b'{"x": 1}')[:-4], "is not whole gzip: "),
        (zstd.compress(b'{"x": 1}')[:-4], "is not whole zstd: "),
        (zlib.compress(b'{"x": 1}')[:-4], "is not whole deflate: "),
        (b"\x1f\x8bnothing", "is not whole gzip: "),
        (gz(b"nonsense"), "is not JSON"),
        (gz(b"PAR1\x15\x04\x15"), "is not JSON: it looks like Parquet"),
        (b64encode(gz(b"{}"))[:-8], "is not whole gzip: "),
        (AGGREGATE[:-1], "is an aggregate of the Kinesis Producer Library that is torn or was changed: "),
        (b"\xf3\x89\x9a\xc2", "is an aggregate of the Kinesis Producer Library that is torn or was changed: "),
        (sealed(b""), "contains no record"),
        (sealed(b"\xff"), "is an aggregate of the Kinesis Producer Library whose message is not as the protocol says"),
        (b"PK\x03\x04", "is not JSON: it looks like a zip archive"),
        (b"Obj\x01\x04\x16avro.schema", "is not JSON: it looks like Avro"),
        (b"\xff\x06\x00\x00sNaPpY", "is not JSON: it looks like snappy"),
        (b"{'x': 1}", "is not JSON: it looks like a printed Python object"),
        (b"x,y\n1,2\n", "is not JSON: it looks like CSV"),
        (b"x=1&y=2", "is not JSON: it looks like a form"),
        (b'{"x": 1}\x00', "is not JSON: it looks like JSON with a NUL at its end"),
        (b'<34>1 2026-11-27T00:00:00Z host app - - - {"x": 1}', "is not JSON: it looks like a syslog line"),
        (b'2026-11-27 10:00:00 INFO sent {"x": 1}', "is not JSON: it looks like JSON after other text"),
        (b"level=info x=1", "is not JSON: it looks like logfmt"),
        (b"---\nx: 1\n", "is not JSON: it looks like YAML"),
        (b"-- a table\nSELECT 1", "is not JSON: it looks like SQL"),
        (b"--4d2\r\nContent-Disposition: form-data", "is not JSON: it looks like a multipart form"),
        (b"x: 1\ny: 2\n", "is not JSON: it looks like YAML"),
        (b'x = 1\ny = "b"\n', "is not JSON: it looks like TOML"),
        (b"{:x=>1}", "is not JSON: it looks like a printed Ruby hash"),
        (b"Record{x=1, y=2}", "is not JSON: it looks like a printed object"),
        (b'{"x": 1};', "is not JSON: it looks like JSON with ';' after it"),
        (b")]}',\n{}", "is not JSON: it looks like JSON or a metric behind a prefix"),
        (b"[object Object]", "is not JSON: it looks like a printed JavaScript object"),
        (b'{\n  // the age\n  "x": 1}', "is not JSON: it looks like JSON with comments"),
        (b'{"x": 1}'.hex().encode(), "is not JSON: it looks like hexadecimal digits"),
        (b'POST /predict HTTP/1.1\r\n\r\n{"x": 1}', "is not JSON: it looks like a whole HTTP message"),
        (b"eyJhbGciOiJIUzI1NiJ9.eyJ4IjoxfQ.c2ln", "is not JSON: it looks like a JSON web token"),
        (b"<record/>", "is not JSON: it looks like XML"),
    ],
)
def test_what_cannot_be_read_is_one_part_with_a_reason_that_names_its_format(data: bytes, why: str) -> None:
    assert reason(data).startswith(why)


@pytest.mark.parametrize("value", [7, "text", None, True, 1.5, [1, 2], ["a"], [[R]], [None]])
def test_what_is_json_but_no_record_is_left_to_the_schema_as_one_part(value: Any) -> None:
    assert found(orjson.dumps(value)) == [("", "outer", value)]


def test_only_the_bad_part_is_refused_in_its_place() -> None:
    torn = gz(b'{"x": 1}')[:-1]
    inside = [("a", b'{"x": 1}'), ("b", torn), ("c", b""), ("d", AGGREGATE[:-1]), ("e", b'{"x": 2}')]
    parts = found(aggregate(inside))
    assert [(index, key) for index, key, _ in parts] == [(str(n), key) for n, (key, _) in enumerate(inside)]
    assert (parts[0][2], parts[4][2]) == (R, S)
    assert [str(why)[:18] for _, _, why in parts[1:4]] == ["is not whole gzip:", "is empty", "is an aggregate of"]


def test_any_line_may_be_faulty_the_first_and_a_torn_last_one_too() -> None:
    values = [value for _, _, value in found(b'{"x": }\n{"x": 1}\n[1]\nnonsense\n{"x": 2}\n{"x": 3, "y')]
    assert values[1:3] == [R, [1]]
    assert values[4] == S
    assert all(str(values[n]).startswith("is not JSON") for n in (0, 3, 5))


def test_a_part_has_its_own_bytes_and_a_record_that_is_not_split_keeps_its_own() -> None:
    whole = record(gz(b'{"x": 1}'))
    assert unpack(whole)[0] == [(whole, R)]
    parts, _ = unpack(record(gz(b'{"x":1}\n{"x": 2}')))
    assert [part["Data"] for part, _ in parts] == [b'{"x":1}', b'{"x": 2}']
    compressed = gz(lines(R))
    parts, _ = unpack(record(aggregate([("a", compressed)])))
    assert [part["Data"] for part, _ in parts] == [compressed]


def test_an_item_that_cannot_be_written_again_does_not_stop_its_list() -> None:
    deep = b"[" * 500 + b"]" * 500
    parts, _ = unpack(record(b'[{"x": 1}, {"x": ' + deep + b'}, {"x": 2}]'))
    assert len(parts) == 3
    assert [original(part) for part, _ in parts] == [b'{"x":1}', b'"nested too deeply to be shown"', b'{"x":2}']


def test_layers_are_bounded() -> None:
    data = b'{"x": 1}'
    for _ in range(MOST_LAYERS):
        data = gz(data)
    assert found(data) == ONE
    assert reason(gz(data)) == "is packed more than 4 times"


def test_one_record_more_than_the_bound_refuses_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MOST_PARTS", 10)
    for pack in (b"\n".join, lambda datas: b"[" + b",".join(datas) + b"]"):
        assert len(found(gz(pack([b"{}"] * 10)))) == 10
        assert reason(pack([b"{}"] * 11)) == "contains more than 10 records"
    assert len(found(aggregate([("a", b"{}")] * 10))) == 10
    assert "contains more than 10 records" in reason(aggregate([("a", b"{}")] * 11))


def test_the_records_of_all_layers_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MOST_PARTS", 10)
    five = lines(*[R] * 5)
    assert len(found(aggregate([("a", five), ("b", five)]))) == 10
    assert reason(aggregate([("a", five), ("b", five), ("c", b"{}")])) == "contains more than 10 records"


def test_compressed_parts_share_one_budget_and_plain_ones_beside_them_are_read() -> None:
    spaces = b" " * (MOST_UNPACKED // 2)
    half = zstd.compress(spaces + b"{}")
    torn = zstd.compress(spaces)[:-1]
    for first in (half, torn, zstd.compress(b"\0" * MOST_UNPACKED + b"1")):
        parts = found(aggregate([("a", first), ("b", half), ("c", half), ("d", b"{}")]))
        assert parts[2][2] == "exceeds the 16,777,216 bytes that a record may have, decompressed"
        assert parts[3][2] == {}


def bomb(compress: Callable[[bytes], bytes]) -> bytes:
    return compress(b"\0" * (8 * SIZE))


SIZE = int(os.environ.get("HOSTILE_BYTES", str(2**16)))  # 10485760: what Kinesis takes; that takes a minute
HOSTILE = {
    "a gzip bomb": lambda: bomb(gz),
    "a zlib bomb": lambda: bomb(zlib.compress),
    "a zstd bomb": lambda: bomb(zstd.compress),
    "a gzip bomb in a gzip bomb": lambda: gz(bomb(gz) * 20),
    "bombs side by side": lambda: aggregate([("k", bomb(zstd.compress))] * 100),
    "torn bombs side by side": lambda: aggregate([("k", zstd.compress(b" " * SIZE)[:-1])] * 1000),
    "gzip members that hold nothing": lambda: gz(b"") * (SIZE // 20),
    "lists": lambda: b"[" + b"[]," * (SIZE // 3) + b"1]",
    "objects": lambda: b"[" + b"{}," * (SIZE // 3) + b"{}]",
    "blank lines": lambda: b"{}\n" + b"\n" * SIZE + b"{}",
    "lines": lambda: b"{}\n" * (SIZE // 3),
    "opening brackets": lambda: b"[" * SIZE,
    "blanks between letters": lambda: b"ab " * (SIZE // 3),
    "base64 of base64": lambda: b64encode(b64encode(b64encode(b"x" * (SIZE // 3)))),
    "random bytes": lambda: random.Random(1).randbytes(SIZE),
    "random bytes in gzip": lambda: gz(random.Random(1).randbytes(SIZE)),
    "one text": lambda: b'{"x": "' + b"y" * SIZE + b'"}',
    "short texts": lambda: b'{"x": [' + b'"aa",' * (SIZE // 5) + b'"aa"]}',
    "names": lambda: b"{" + b",".join(b'"%06d":0' % n for n in range(SIZE // 11)) + b"}",
    "commas": lambda: b"," * SIZE,
    "an aggregate of empty records": lambda: sealed(b"\x0a\x01k" + b"\x1a\x00" * (SIZE // 2)),
    "an aggregate of empty keys": lambda: sealed(b"\x0a\x00" * (SIZE // 2)),
}


def figures(name: str, size: int, parts: int, seconds: float, peak: int) -> None:
    """Print what a hostile record cost, for `pytest -s`."""
    print(f"{name}: {size:,} bytes, {parts:,} parts, {seconds:.2f} s, {peak / 2**20:.0f} MB")  # noqa: T201


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_record_costs_bounded_time_and_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MOST_UNPACKED", int(1.6 * SIZE))
    data = HOSTILE[name]()
    tracemalloc.start()
    began = process_time()
    parts, _ = unpack(record(data))
    seconds = process_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    figures(name, len(data), len(parts), seconds, peak)
    assert len(parts) <= MOST_PARTS
    assert seconds < 2 + 5 * SIZE / 2**20
    assert peak < 30 * SIZE + 1000 * len(parts) + 16 * 2**20


def test_plain_records_make_one_slice() -> None:
    made = list(slices([record(b"{}", n) for n in range(SLICE)]))
    assert [(len(part.parts), part.complete, part.last) for part in made] == [(SLICE, str(SLICE - 1), True)]


def test_no_records_make_one_empty_slice() -> None:
    assert [(part.parts, part.complete, part.last) for part in slices([])] == [([], None, True)]


def test_a_slice_ends_with_a_record_or_contains_only_a_piece_of_one() -> None:
    many = b"{}\n" * (2 * SLICE + 10)
    records = [record(b"{}", 0), record(b"{}", 1), record(many, 2), record(b"{}", 3), record(b"{}\n{}", 4)]
    made = list(slices(records))
    assert [(len(part.parts), part.complete, part.last) for part in made] == [
        (2, "1", False),
        (SLICE, None, False),
        (SLICE, None, False),
        (13, "4", True),
    ]
    assert [part for one in made for part in one.parts] == [part for r in records for part in unpack(r)[0]]


def test_slices_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MOST_UNPACKED", 1000)
    large = gz(b'{"x": "' + b"y" * 600 + b'"}')
    assert [len(part.parts) for part in slices([record(large, n) for n in range(3)])] == [1, 1, 1]


PACKINGS: dict[str, Callable[[list[bytes]], bytes]] = {
    "lines": b"\n".join,
    "lines of Windows": lambda datas: b"\r\n".join(datas) + b"\r\n",
    "list": lambda datas: b"[" + b",".join(datas) + b"]",
    "aggregate": lambda datas: aggregate([(f"k{n}", data) for n, data in enumerate(datas)]),
    "compressed parts": lambda datas: aggregate([(f"k{n}", gz(data)) for n, data in enumerate(datas)]),
}
WRAPPINGS: list[Callable[[bytes], bytes]] = [gz, zstd.compress, zlib.compress, b64encode]
values = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=9)
objects = st.dictionaries(st.text(max_size=8), values, max_size=5)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(objects, min_size=1, max_size=6),
    st.sampled_from(sorted(PACKINGS)),
    st.lists(st.sampled_from(WRAPPINGS), max_size=2, unique=True),
)
def test_any_records_in_any_packing_are_the_same_records_in_order(
    records: list[dict[str, Any]], packing_: str, wrappings: list[Callable[[bytes], bytes]]
) -> None:
    datas = [orjson.dumps(value) for value in records]
    data = PACKINGS[packing_](datas)
    for wrap in wrappings:
        data = wrap(data)
    plain = [value for one in datas for _, _, value in found(one)]
    made = found(data)
    assert [value for _, _, value in made] == plain
    one_line = len(records) == 1 and packing_.startswith("lines")
    assert [index for index, _, _ in made] == ([""] if one_line else [str(n) for n in range(len(records))])
    if packing_ in ("aggregate", "compressed parts"):
        assert [key for _, key, _ in made] == [f"k{n}" for n in range(len(records))]


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"x\x9c", b"\xf3\x89\x9a\xc2", b"{"]),
)
def test_whatever_comes_becomes_parts(data: bytes, beginning: bytes) -> None:
    assert unpack(record(beginning + data))[0]
