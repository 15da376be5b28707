"""A page of a stream to what is published for it: an answer or a reason for every record, whatever it holds."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from scorehouse.errors import JournalError
from scorehouse.journal.journal import Journal
from scorehouse.scoring.encoding import Encoder
from scorehouse.scoring.schema import RecordSchema
from scorehouse.scoring.scorer import Scorer
from scorehouse.serving.serving import Model, NotServing, Serving
from scorehouse.streams.packing import slices
from scorehouse.streams.records import MOST_ORIGINAL_BYTES, MOST_REASON, Scored, error_entry, score
from scorehouse.usecase import Envelope
from tests.aggregates import aggregate
from tests.unit.server.stream.fakes import FEATURES, model

ID_FIELDS = Envelope(features="wine_features", answer="wine_quality")


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    journal = Journal(tmp_path, "stream")
    one = Serving("wine", "stream", journal)
    one.model = model()
    yield one
    journal.close()


def page(*datas: Any) -> list[dict[str, Any]]:
    raw = [data if isinstance(data, bytes) else orjson.dumps(data) for data in datas]
    return [{"SequenceNumber": str(i), "PartitionKey": f"k{i}", "Data": data} for i, data in enumerate(raw)]


def scored(serving: Serving, *datas: Any, envelope: Envelope | None = None) -> Scored:
    return score_all(serving, page(*datas), envelope)


def score_all(serving: Serving, records: list[dict[str, Any]], envelope: Envelope | None = None) -> Scored:
    """Score every slice of `records`."""
    whole = Scored([], [], [], [])
    for part in slices(records):
        one = score(serving, envelope, "s0", part.parts)
        for name in ("results", "origins", "errors", "failed"):
            getattr(whole, name).extend(getattr(one, name))
    return whole


def values(entries: list[dict[str, Any]]) -> list[Any]:
    return [orjson.loads(entry["Data"]) for entry in entries]


def test_a_record_without_an_id_is_known_by_its_place(serving: Serving) -> None:
    found = scored(serving, {"x": 1}, {"x": 2, "prediction_id": "mine"})
    assert [a["prediction_id"] for a in values(found.results)] == ["s0:0", "mine"]
    assert found.errors == []


def test_scored_again_in_other_pages_the_bytes_are_the_same(serving: Serving) -> None:
    records = page(*({"x": i / 7} for i in range(50)))
    whole = score_all(serving, records).results
    assert [e for i in range(0, 50, 7) for e in score_all(serving, records[i : i + 7]).results] == whole


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"nonsense", "is not JSON: "),
        (b"", "is empty"),
        (b"\xff\xfe\x00", "is not JSON: "),
        (b"[1, 2]", "is a list without any record: send JSON objects"),
        (b"7", "is not a record"),
        (b"{}", "x: is missing"),
        (b'{"x": "1"}', "x: is not allowed"),
        (b'{"x": NaN}', "the model's prediction is not finite"),  # a gap, which this model does not allow for
        (b'{"x": 1, "x": 2}', "is ambiguous: the field 'x' appears twice in one object"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"x": 1, "y": 2}', "y: is not a known field"),
        (b'{"x": 1, "prediction_id": 7}', "prediction_id: is not allowed"),
    ],
)
def test_what_cannot_be_scored_is_told_with_its_reason_and_its_bytes(
    serving: Serving, data: bytes, reason: str
) -> None:
    found = scored(serving, {"x": 1}, data, {"x": 2})
    assert len(found.results) == 2
    (error,) = values(found.errors)
    assert error["reason"].startswith(reason)
    assert (error["shard"], error["sequence"], b64decode(error["data"])) == ("s0", "1", data)
    assert found.errors[0]["PartitionKey"] == "k1"
    assert [origin["SequenceNumber"] for origin in found.origins] == ["0", "2"]


def test_a_record_that_was_sent_as_base64_text_is_read(serving: Serving) -> None:
    wrapped = b64encode(b'{"x": 4}')
    found = scored(serving, wrapped, wrapped[:4] + b"\n" + wrapped[4:] + b"\n")
    assert [a["chance"] for a in values(found.results)] == [8.0, 8.0]


def test_json_is_read_as_the_http_door_reads_it(serving: Serving) -> None:
    unusual = (b'\xef\xbb\xbf{"x": 4}', '{"x": 4}'.encode("utf-16"), orjson.dumps('{"x": 4}'), b'{"x":\n4}\r\n')
    found = scored(serving, *unusual)
    assert [a["chance"] for a in values(found.results)] == [8.0] * 4
    assert [a["prediction_id"] for a in values(found.results)] == [f"s0:{n}" for n in range(4)]


def broken_at_zero() -> Model:
    def predict(rows: Any) -> Any:
        if (rows == 0).any():
            raise ZeroDivisionError
        return 1 / rows[:, 0]

    return Model(model().bundle, Scorer(RecordSchema(FEATURES), lambda r: r, Encoder.of(FEATURES), predict))


def test_every_part_of_a_packed_record_is_answered_or_told_under_its_own_place(serving: Serving) -> None:
    found = scored(
        serving, {"x": 1}, b'{"x": 2}\n{"x": }\n{"x": 3, "prediction_id": "mine"}\n', [{"x": 4}, 5, {"x": 6}]
    )
    assert [a["prediction_id"] for a in values(found.results)] == ["s0:0", "s0:1:0", "mine", "s0:2:0", "s0:2:2"]
    assert [origin.get("Index") for origin in found.origins] == [None, "0", "2", "0", "2"]
    line, item = values(found.errors)
    assert (line["sequence"], line["index"], b64decode(line["data"]), line["bytes"]) == ("1", "1", b'{"x": }', 7)
    assert line["reason"].startswith("is not JSON")
    assert (item["sequence"], item["index"], b64decode(item["data"])) == ("2", "1", b"5")
    assert item["reason"] == "is not a record"
    assert [(r["SequenceNumber"], r["Index"]) for r in found.failed] == [("1", "1"), ("2", "1")]


def test_answers_to_an_aggregate_have_the_partition_keys_of_its_records(serving: Serving) -> None:
    bad, good = orjson.dumps({"y": 1}), orjson.dumps({"wine_features": {"x": 3}, "customer_id": 123})
    data = aggregate([("anna", b'{"x": 1}'), ("bert", bad), ("anna", good)])
    found = scored(serving, data, envelope=ID_FIELDS)
    assert [entry["PartitionKey"] for entry in found.results] == ["anna", "123"]
    assert [entry["PartitionKey"] for entry in found.errors] == ["bert"]
    (error,) = values(found.errors)
    assert (error["index"], b64decode(error["data"])) == ("1", bad)


def test_a_part_that_breaks_the_code_that_scores_it_stops_no_other_part(serving: Serving) -> None:
    serving.model = broken_at_zero()
    found = scored(serving, b'{"x": 2}\n{"x": 0}\n{"x": 4}')
    assert [a["prediction_id"] for a in values(found.results)] == ["s0:0:0", "s0:0:2"]
    assert [(e["index"], e["reason"]) for e in values(found.errors)] == [("1", "cannot be scored: ZeroDivisionError")]


def test_an_error_of_the_largest_record_fits_into_a_record(serving: Serving) -> None:
    record = {"SequenceNumber": "1", "PartitionKey": "k" * 256, "Data": b"\xff" * 2**20}
    entry = error_entry("shardId-000000000000", record, "é" * 5000)
    assert len(entry["Data"]) + 256 <= 2**20
    about = orjson.loads(entry["Data"])
    assert b64decode(about["data"]) == b"\xff" * MOST_ORIGINAL_BYTES
    assert about["bytes"] == 2**20
    assert about["reason"] == "é" * MOST_REASON


def test_a_record_that_breaks_the_code_that_scores_it_stops_nobody(serving: Serving) -> None:
    serving.model = broken_at_zero()
    found = scored(serving, {"x": 2}, {"x": 0}, {"x": 4})
    assert [a["chance"] for a in values(found.results)] == [0.5, 0.25]
    (error,) = values(found.errors)
    assert error["sequence"] == "1"
    assert error["reason"] == "cannot be scored: ZeroDivisionError"


def test_without_model_or_journal_nothing_is_published(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(lines: bytes) -> None:
        raise JournalError("the disk is full")

    monkeypatch.setattr(serving.journal, "append", full)
    with pytest.raises(JournalError):
        scored(serving, {"x": 1})
    serving.model = None
    with pytest.raises(NotServing):
        scored(serving, {"x": 1})


def test_a_wrapped_record_is_answered_wrapped_under_its_customer(serving: Serving) -> None:
    found = scored(serving, {"wine_features": {"x": 3}, "customer_id": 123}, envelope=ID_FIELDS)
    assert values(found.results) == [
        {"model": "wine", "version": "run-1", "prediction": {"wine_quality": 6.0, "customer_id": 123}}
    ]
    assert found.results[0]["PartitionKey"] == "123"


def test_a_wrapped_record_that_brings_an_id_gets_it_back(serving: Serving) -> None:
    found = scored(serving, {"wine_features": {"x": 3}, "prediction_id": "mine"}, envelope=ID_FIELDS)
    (answer,) = values(found.results)
    assert answer["prediction_id"] == "mine"
    assert answer["prediction"] == {"wine_quality": 6.0, "customer_id": None}
    assert found.results[0]["PartitionKey"] == "k0"


def test_plain_records_are_taken_beside_wrapped_ones(serving: Serving) -> None:
    found = scored(serving, {"x": 3}, {"wine_features": {"x": 3}, "customer_id": "c"}, envelope=ID_FIELDS)
    assert [sorted(a) for a in values(found.results)] == [
        ["chance", "model_run_id", "prediction_id"],
        ["model", "prediction", "version"],
    ]


@pytest.mark.parametrize(
    ("wrapped", "reason"),
    [
        ({"wine_features": 7}, "is not a record"),
        ({"wine_features": {}}, "x: is missing"),
        ({"wine_features": {"x": 1}, "customer": 1}, "customer: is not a known field"),
    ],
)
def test_a_wrapped_record_is_checked_like_any_other(serving: Serving, wrapped: Any, reason: str) -> None:
    found = scored(serving, wrapped, envelope=ID_FIELDS)
    assert values(found.errors)[0]["reason"] == reason


def test_a_use_case_without_an_envelope_takes_none(serving: Serving) -> None:
    found = scored(serving, {"wine_features": {"x": 3}, "customer_id": 123})
    assert found.results == []
    assert values(found.errors)[0]["reason"] == (
        "has no field of this model: its fields are x; send what is in wine_features as a record of its own"
    )
