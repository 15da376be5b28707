"""The same bytes as the body of `POST /predict` and as a stream record: the same answer, or the same reason."""

from __future__ import annotations

import gzip
import json
import os
from base64 import b64encode
from typing import Any

import orjson
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from scorehouse.streams.packing import unpack
from scorehouse.streams.records import score
from server.web.transport.microbatch import MicroBatcher
from tests.doors import Door

EXAMPLES = int(os.environ.get("DOOR_EXAMPLES", "60"))
LIST, LINES = "application/json", "application/jsonlines"
NO_RECORD = "is not a record"
Outcome = list[float | str]  # of each record: the prediction, or the reason


def by_http(door: Door, data: bytes, media: str) -> Outcome:
    """As a process answers it: first the micro-batch, then Flask."""
    if media == LIST:
        (single,) = MicroBatcher(door.serving).answers([data], [0.0], [None])
        if single is not None:
            return [orjson.loads(single)["churn chance"]]
    return outcome(door.client.post("/predict", data=data, content_type=media))


def outcome(answer: TestResponse) -> Outcome:
    if answer.status_code == 200:
        said = [orjson.loads(line) for line in answer.data.splitlines()]
        return [value(one) for one in (said[0] if type(said[0]) is list else said)]
    problem = answer.get_json()
    assert answer.status_code in {400, 409, 422}, problem
    if "records" in problem:
        return [value(one) for one in problem["records"]]
    if "errors" in problem:
        return [value(problem)]
    return [problem["detail"].removeprefix("the body ").partition("; send one record")[0]]


def value(answer: dict[str, Any]) -> float | str:
    if "errors" not in answer:
        return float(answer["churn chance"])
    return "; ".join(f"{e['field']}: {e['problem']}" if e["field"] else e["problem"] for e in answer["errors"])


def by_stream(door: Door, data: bytes) -> tuple[Outcome, bool]:
    """Also whether it was taken apart."""
    parts, _ = unpack({"SequenceNumber": "1", "PartitionKey": "k", "Data": data})
    scored = score(door.serving, None, "s", parts)
    answers: dict[str, float | str] = {}
    for part, entry in zip(scored.origins, scored.results, strict=True):
        answers[part.get("Index", "")] = float(orjson.loads(entry["Data"])["churn chance"])
    for part, entry in zip(scored.failed, scored.errors, strict=True):
        answers[part.get("Index", "")] = orjson.loads(entry["Data"])["reason"]
    places = [part.get("Index", "") for part, _ in parts]
    return [answers[place] for place in places], places != [""]


TOKENS = [
    b'"', b"{", b"}", b"[", b"]", b",", b":", b"NaN", b"-Infinity", b"null", b"true", b"1e999", b"\\", b"\\u0000",
    b"\x00", b"\n", b"\r\n", b"\xff", b"\xef\xbb\xbf", b" ",
    b'"gender":"M",', b'"prediction_id":null,', b'"x":{"x":1,"x":2},',
    b"9" * 30, b"{}", b"[]", b"\n{}", b"\xed\xa0\x80", b"'", b"//", b"\x1f\x8b", b"x\x9c",
]  # fmt: skip
WRAPS = {
    "": lambda data: data,
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "UTF-16": lambda data: data.decode("latin1").encode("utf-16"),
    "UTF-32": lambda data: data.decode("latin1").encode("utf-32"),
    "twice": lambda data: json.dumps(data.decode("latin1")).encode(),
    "base64": b64encode,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstd.compress,
    "in a list": lambda data: b"[" + data + b"]",
}
edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), st.sampled_from([b"", *TOKENS])), max_size=3)
fields = st.sampled_from(["gender", "customer_age", "credit_limit", "prediction_id", "customer_id", "test", "other"])
odd = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
)


def edited(data: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    """Replace some bytes at some places: a place is a share of the length."""
    for share, removed, added in changes:
        place = int(share * len(data))
        data = data[:place] + added + data[place + removed :]
    return data


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 3),
    st.dictionaries(fields, odd, max_size=2),
    st.sampled_from([LIST, LINES]),
    edits,
    st.sampled_from(sorted(WRAPS)),
    edits,
)
def test_the_same_bytes_get_the_same_answer_or_reason_by_http_and_by_stream(
    door: Door,
    toy_records: list[dict[str, Any]],
    count: int,
    values: dict[str, Any],
    media: str,
    first: list[tuple[float, int, bytes]],
    wrap: str,
    then: list[tuple[float, int, bytes]],
) -> None:
    records = [{**toy_records[0], **values}, *toy_records[1:count]]
    texts = [json.dumps(record).encode() for record in records]
    whole = b"\n".join(texts) if media == LINES else texts[0] if count == 1 else b"[" + b",".join(texts) + b"]"
    data = edited(WRAPS[wrap](edited(whole, first)), then)
    streamed, apart = by_stream(door, data)
    asked = by_http(door, data, media)
    if data.startswith(b"x\x9c") or (media == LINES and (not apart or NO_RECORD in asked or wrap == "base64")):
        return  # a stream record has no header that says how it is compressed, or that it is lines
    if not asked or set(asked) == {NO_RECORD}:
        assert set(streamed) <= {NO_RECORD, "contains no record"}  # of [1, 2], which a stream does not take apart
        return
    assert streamed == asked
