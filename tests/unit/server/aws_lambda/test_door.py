"""One batch of a Kinesis trigger, with a real model and a real store; the streams are played."""

from __future__ import annotations

import gzip
import shutil
from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from botocore.exceptions import ClientError

from scorehouse.errors import BundleError, JournalError, SettingError, StoreUnavailable
from scorehouse.serving.deployment import Status
from scorehouse.serving.serving import Model, Serving
from scorehouse.settings import Settings
from scorehouse.stores.sqlite_store import SqliteStore
from scorehouse.streams.packing import SLICE
from scorehouse.streams.publisher import Publisher
from server.aws_lambda.door import LambdaDoor, NothingServes
from server.aws_lambda.main import build
from server.aws_lambda.stored import StoredAtOnce
from tests import signing
from tests.aggregates import aggregate
from tests.streams import trigger_event
from tests.unit.toy import RUN_ID, Toy

SHARD = "shardId-000000000003"


class Streams:
    """Takes entries, except those that `refuses` names an error code for."""

    def __init__(self) -> None:
        self.held: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.refuses: Callable[[str, dict[str, Any]], str | None] = lambda stream, entry: None

    def put_records(self, **call: Any) -> dict[str, Any]:
        answers = []
        for entry in call["Records"]:
            code = self.refuses(call["StreamName"], entry)
            answers.append({"ErrorCode": code} if code else {"SequenceNumber": "1"})
            if not code:
                self.held[call["StreamName"]].append(entry)
        return {"FailedRecordCount": sum("ErrorCode" in a for a in answers), "Records": answers}


class House:
    """A door with its surroundings."""

    def __init__(self, toy: Toy, folder: Path, **options: Any):
        self.streams, self.store, self.now = Streams(), SqliteStore(folder / "predictions.db"), 0.0
        self.serving = Serving("churn", "lambda", StoredAtOnce(self.store))
        self.serving.model = Model(toy.bundle(), toy.bundle().scorer(toy.use_case))
        names = ("results", "results-errors")
        self.door = LambdaDoor(
            toy.use_case, self.serving, lambda: Status("the registry is down", registry_up=False),
            lambda sleep: Publisher(self.streams, sleep, lambda: 0.0), names,
            options.get("report_unscorable", False), self.sleep,
        )  # fmt: skip

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def handle(self, event: dict[str, Any]) -> list[str]:
        answer = self.door.handle(event, lambda: 60 - self.now)
        assert set(answer) == {"batchItemFailures"}
        return [item["itemIdentifier"] for item in answer["batchItemFailures"]]

    def stored(self) -> list[str]:
        return [p["prediction_id"] for p in self.store.predictions_after("churn", 0, 1000)]

    def answered(self) -> list[str]:
        return [orjson.loads(e["Data"])["prediction_id"] for e in self.streams.held["results"]]


@pytest.fixture
def house(toy: Toy, tmp_path: Path) -> House:
    return House(toy, tmp_path)


def batch(records: list[dict[str, Any]], bad: tuple[int, ...] = (), count: int = 6) -> dict[str, Any]:
    """`count` records, of which those at `bad` cannot be scored: by turns not JSON, and without a required field."""
    wrong: Iterator[bytes] = iter([b"not JSON", b'{"gender": "M"}'] * 10)
    return trigger_event([next(wrong) if n in bad else orjson.dumps(records[n]) for n in range(count)], SHARD)


def test_every_record_is_answered_stored_and_published_under_the_inputs_partition_key(
    house: House, toy_records: list[dict[str, Any]]
):
    assert house.handle(batch(toy_records)) == []
    ids = [f"{SHARD}:{100 + n}" for n in range(6)]
    assert house.answered() == house.stored() == ids
    assert [e["PartitionKey"] for e in house.streams.held["results"]] == [f"key-{n}" for n in range(6)]
    assert set(orjson.loads(house.streams.held["results"][0]["Data"])) == {
        "churn chance",
        "model_run_id",
        "prediction_id",
    }


def test_bad_records_are_told_with_their_reasons_and_do_not_come_again(house: House, toy_records: list[dict[str, Any]]):
    assert house.handle(batch(toy_records, bad=(1, 4))) == []
    told = [orjson.loads(e["Data"]) for e in house.streams.held["results-errors"]]
    assert [(e["shard"], e["sequence"]) for e in told] == [(SHARD, "101"), (SHARD, "104")]
    assert told[0]["reason"].startswith("is not JSON")
    assert b64decode(told[0]["data"]) == b"not JSON"
    assert "customer_age: is missing" in told[1]["reason"]
    assert len(house.answered()) == 4


def test_a_batch_with_two_bad_records_reports_exactly_those_where_that_is_wanted(
    toy: Toy, tmp_path: Path, toy_records: list[dict[str, Any]]
):
    house = House(toy, tmp_path, report_unscorable=True)
    assert house.handle(batch(toy_records, bad=(1, 4))) == ["101", "104"]
    assert len(house.answered()) == 4
    assert len(house.streams.held["results-errors"]) == 2


def test_a_record_that_results_fails_for_good_is_told_as_an_error(house: House, toy_records: list[dict[str, Any]]):
    house.streams.refuses = lambda stream, entry: (
        "InvalidArgumentException" if (stream, entry["PartitionKey"]) == ("results", "key-2") else None
    )
    assert house.handle(batch(toy_records)) == []
    assert [orjson.loads(e["Data"])["sequence"] for e in house.streams.held["results-errors"]] == ["102"]


def test_only_records_that_were_not_published_in_time_come_again(house: House, toy_records: list[dict[str, Any]]):
    throttled = "ProvisionedThroughputExceededException"
    house.streams.refuses = lambda stream, entry: throttled if entry["PartitionKey"] in {"key-1", "key-3"} else None
    assert house.handle(batch(toy_records, bad=(3,))) == ["101", "103"]
    assert 0 < house.now < 60, "it used the time it had, and kept some to answer"
    assert len(house.answered()) == 4


def test_a_record_that_no_stream_takes_is_reported(house: House, toy_records: list[dict[str, Any]]):
    house.streams.refuses = lambda stream, entry: (
        "InvalidArgumentException" if entry["PartitionKey"] == "key-2" else None
    )
    assert house.handle(batch(toy_records)) == ["102"]


def test_a_batch_that_comes_again_is_published_as_before_byte_for_byte_and_stored_once(
    house: House, toy_records: list[dict[str, Any]]
):
    for _ in range(2):
        house.handle(batch(toy_records, bad=(0,)))
    for entries in house.streams.held.values():
        half = len(entries) // 2
        assert entries[:half] == entries[half:]
    assert len(house.stored()) == 5


def test_nothing_is_published_that_could_not_be_stored(house: House, toy_records: list[dict[str, Any]]):
    def down(*_: Any) -> Any:
        raise StoreUnavailable("MongoDB is down")

    house.store.add = down  # type: ignore[method-assign]
    with pytest.raises(JournalError, match="MongoDB is down"):
        house.handle(batch(toy_records))
    assert not house.streams.held


def test_a_refused_call_fails_the_whole_batch(house: House, toy_records: list[dict[str, Any]]):
    def denied(stream: str, entry: dict[str, Any]) -> None:
        raise ClientError(
            {"Error": {"Code": "AccessDeniedException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "PutRecords"
        )

    house.streams.refuses = denied
    with pytest.raises(ClientError):
        house.handle(batch(toy_records))


def test_without_a_model_the_batch_comes_again_and_the_error_says_why(house: House, toy_records: list[dict[str, Any]]):
    house.serving.model = None
    with pytest.raises(NothingServes, match="the registry is down"):
        house.handle(batch(toy_records))


def test_a_batch_of_two_shards_keeps_each_records_own_id(house: House, toy_records: list[dict[str, Any]]):
    one, other = batch(toy_records, count=2), batch(toy_records, count=2)
    for record in other["Records"]:
        record["eventID"] = record["eventID"].replace(SHARD, "shardId-000000000007")
    house.handle({"Records": one["Records"] + other["Records"]})
    assert house.stored() == [f"{shard}:{n}" for shard in (SHARD, "shardId-000000000007") for n in (100, 101)]


def packed_event(records: list[dict[str, Any]], bad: bytes = b"") -> dict[str, Any]:
    """Four records: a plain one, an aggregate of three, two gzipped lines, a plain one."""
    datas = [orjson.dumps(record) for record in records]
    three = aggregate([("anna", datas[1]), ("bert", bad or datas[2]), ("anna", datas[3])])
    return trigger_event([datas[0], three, gzip.compress(b"\n".join(datas[4:6])), datas[6]], SHARD)


PACKED_IDS = [f"{SHARD}:{place}" for place in ("100", "101:0", "101:1", "101:2", "102:0", "102:1", "103")]


def test_packed_records_are_answered_as_the_stream_scorer_answers_them(house: House, toy_records: list[dict[str, Any]]):
    assert house.handle(packed_event(toy_records)) == []
    assert house.answered() == house.stored() == PACKED_IDS
    keys = [entry["PartitionKey"] for entry in house.streams.held["results"]]
    assert keys == ["key-0", "anna", "bert", "anna", "key-2", "key-2", "key-3"]


def test_a_bad_part_is_told_alone_and_its_record_fails_only_where_that_is_wanted(
    toy: Toy, tmp_path: Path, toy_records: list[dict[str, Any]]
):
    for wanted, failures in ((False, []), (True, ["101"])):
        folder = tmp_path / str(wanted)
        folder.mkdir()
        house = House(toy, folder, report_unscorable=wanted)
        assert house.handle(packed_event(toy_records, bad=b"not JSON")) == failures
        assert house.answered() == [id_ for id_ in PACKED_IDS if id_ != f"{SHARD}:101:1"]
        [entry] = house.streams.held["results-errors"]
        told = orjson.loads(entry["Data"])
        assert (told["sequence"], told["index"], b64decode(told["data"])) == ("101", "1", b"not JSON")
        assert entry["PartitionKey"] == "bert"


def test_a_record_comes_again_whole_where_one_of_its_parts_was_not_published(
    house: House, toy_records: list[dict[str, Any]]
):
    throttled = "ProvisionedThroughputExceededException"
    house.streams.refuses = lambda stream, entry: throttled if entry["PartitionKey"] == "bert" else None
    assert house.handle(packed_event(toy_records)) == ["101"]
    first = list(house.streams.held["results"])
    house.streams.refuses = lambda stream, entry: None
    again = packed_event(toy_records)
    again["Records"] = again["Records"][1:2]
    assert house.handle(again) == []
    repeated = [entry for entry in house.streams.held["results"][len(first) :] if entry["PartitionKey"] == "anna"]
    assert repeated == [entry for entry in first if entry["PartitionKey"] == "anna"]


def test_what_the_time_does_not_suffice_for_comes_again(house: House, toy_records: list[dict[str, Any]]):
    data = orjson.dumps(toy_records[0])
    many = gzip.compress(b"\n".join([data] * (SLICE + 1)))
    seconds = iter([60.0, 60.0, 1.0])
    event = trigger_event([data, many, data], SHARD)
    answer = house.door.handle(event, lambda: next(seconds, 1.0))
    assert [item["itemIdentifier"] for item in answer["batchItemFailures"]] == ["101", "102"]
    assert len(house.answered()) == 1 + SLICE


def packed(toy: Toy, folder: Path, **more: Any) -> LambdaDoor:
    return build(Settings(packed_bundle=str(toy.folder), data_folder=folder, verify_key=signing.VERIFY_KEY, **more))


def test_a_test_run_returns_the_answers_and_the_bad_records_and_leaves_no_trace(
    toy: Toy, tmp_path: Path, toy_records: list[dict[str, Any]]
):
    door = packed(toy, tmp_path, test_run=True, kinesis_address="http://127.0.0.1:9")
    answer = door.handle(batch(toy_records, bad=(1, 4)), lambda: 60)
    assert answer["batchItemFailures"] == [{"itemIdentifier": "101"}, {"itemIdentifier": "104"}]
    assert [p["prediction_id"] for p in answer["predictions"]] == [f"{SHARD}:{n}" for n in (100, 102, 103, 105)]
    assert {p["model_run_id"] for p in answer["predictions"]} == {RUN_ID}
    assert not list(tmp_path.iterdir())


def test_a_door_without_a_packed_bundle_asks_the_registry_and_says_what_it_answered(
    tmp_path: Path, toy_records: list[dict[str, Any]]
):
    door = build(Settings(data_folder=tmp_path, test_run=True, mlflow_address="http://127.0.0.1:9"))
    with pytest.raises(NothingServes, match=r"MLflow at 127\.0\.0\.1:9"):
        door.handle(batch(toy_records), lambda: 60)


def test_a_door_that_could_not_keep_its_predictions_does_not_start(toy: Toy, tmp_path: Path) -> None:
    """Its only disk is deleted with its instance."""
    with pytest.raises(SettingError, match=r"MONGODB_ADDRESS is empty, so the Lambda door could not .*TEST_RUN=true"):
        packed(toy, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_packed_bundle_that_nobody_signed_is_not_served(toy: Toy, tmp_path: Path) -> None:
    shutil.copytree(toy.folder, tmp_path / "packed")
    (tmp_path / "packed" / signing.SIGNATURE).unlink()
    with pytest.raises(BundleError, match="the bundle in packed is not signed"):
        build(Settings(packed_bundle=str(tmp_path / "packed"), test_run=True, verify_key=signing.VERIFY_KEY))
