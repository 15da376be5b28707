"""The Lambda door under real Lambda runtimes: AWS's own emulator of one, and ministack's with its Kinesis trigger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from scorehouse.aws import aws_client
from scorehouse.stores.mongo_store import MongoStore
from tests import lambda_runtime, signing
from tests.engines import REGION, Engine, ministack
from tests.streams import INPUT, RESULTS, Outcome, Traffic, running_with_streams, trigger_event
from tests.toy import Toy, until

SHARD = "shardId-000000000000"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with running_with_streams(ministack(tmp_path_factory.mktemp("ministack")), 2) as engine:
        yield engine


def with_two_bad(records: list[dict[str, Any]]) -> dict[str, Any]:
    bodies = [orjson.dumps(r) for r in records[:8]]
    return trigger_event([*bodies[:2], b"not JSON", *bodies[3:6], b'{"gender": "M"}', *bodies[7:]], SHARD)


def test_in_its_runtime_a_test_run_reports_exactly_the_two_bad_records_of_a_batch(
    toy: Toy, toy_records: list[dict[str, Any]], tmp_path: Path
):
    environ = {"TEST_RUN": "True", "PACKED_BUNDLE": str(toy.folder), "DATA_FOLDER": str(tmp_path / "data")}
    with lambda_runtime.image_command(tmp_path, **environ) as address:
        for _ in range(2):  # a cold call and a warm one
            answer = lambda_runtime.invoke(address, with_two_bad(toy_records))
            assert [i["itemIdentifier"] for i in answer["batchItemFailures"]] == ["102", "106"]
            assert [p["prediction_id"] for p in answer["predictions"]] == [
                f"{SHARD}:{n}" for n in (100, 101, 103, 104, 105, 107)
            ]
    assert not (tmp_path / "data").exists()
    log = (tmp_path / "rie.log").read_text()
    assert log.count("INIT START") == 1


def test_in_its_runtime_a_batch_is_stored_and_published_and_reports_exactly_its_two_bad_records(
    toy: Toy, toy_records: list[dict[str, Any]], engine: Engine, tmp_path: Path, mongodb_address: str
):
    environ = {
        "REPORT_UNSCORABLE": "True",
        "MONGODB_ADDRESS": mongodb_address,
        "PACKED_BUNDLE": str(toy.folder),
        "DATA_FOLDER": str(tmp_path),
        "KINESIS_ADDRESS": engine.address,
        "RESULTS_STREAM_NAME": "runtime-results",
    }
    for name in ("runtime-results", "runtime-results-errors"):
        engine.client().create_stream(StreamName=name, ShardCount=1)
    with lambda_runtime.image_command(tmp_path, **environ) as address:
        answer = lambda_runtime.invoke(address, with_two_bad(toy_records))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "102"}, {"itemIdentifier": "106"}]}
    results, errors = _held(engine, "runtime-results"), _held(engine, "runtime-results-errors")
    assert [r["prediction_id"] for r in results] == [f"{SHARD}:{n}" for n in (100, 101, 103, 104, 105, 107)]
    assert [e["sequence"] for e in errors] == ["102", "106"]
    assert _stored(mongodb_address) >= {r["prediction_id"] for r in results}
    assert not (tmp_path / "predictions.db").exists()


def test_a_kinesis_trigger_answers_every_record_once_and_tells_every_bad_one(
    toy: Toy, toy_records: list[dict[str, Any]], engine: Engine, tmp_path: Path, mongodb_address: str
):
    traffic = Traffic(toy_records, bad_every=20)
    traffic.put(engine.client(), 400)
    client = aws_client("lambda", engine.address, REGION)
    client.create_function(
        FunctionName="scorer",
        Runtime="python3.11",
        Role="arn:aws:iam::000000000000:role/scorer",
        Handler=lambda_runtime.HANDLER,
        Timeout=60,
        MemorySize=1024,
        Code={"ZipFile": lambda_runtime.function_zip(tmp_path / "function.zip")},
        Environment={
            "Variables": {
                "PACKED_BUNDLE": str(toy.folder),
                "VERIFY_KEY": signing.VERIFY_KEY,
                "MONGODB_ADDRESS": mongodb_address,
                "DATA_FOLDER": str(tmp_path),
                "KINESIS_ADDRESS": engine.address,
                "PREDICTIONS_STREAM_NAME": INPUT,
                "RESULTS_STREAM_NAME": RESULTS,
            }
        },
    )
    until(lambda: client.get_function(FunctionName="scorer")["Configuration"]["State"] == "Active", 30, "it is active")
    stream = engine.client().describe_stream_summary(StreamName=INPUT)["StreamDescriptionSummary"]["StreamARN"]
    client.create_event_source_mapping(
        EventSourceArn=stream,
        FunctionName="scorer",
        StartingPosition="TRIM_HORIZON",
        BatchSize=100,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    outcome = Outcome(engine.client())
    outcome.wait(traffic, 60)
    outcome.check(traffic, once=True)
    assert outcome.in_order(traffic)
    assert _stored(mongodb_address) >= set(traffic.scorable)


def _stored(mongodb_address: str) -> set[str]:
    """The ids of all predictions of this door in the store, which other tests use too."""
    with closing(MongoStore(mongodb_address)) as store:
        stored = store.predictions_after("churn", 0, 100_000)
    return {p["prediction_id"] for p in stored if p["door"] == "lambda"}


def _held(engine: Engine, stream: str) -> list[dict[str, Any]]:
    client = engine.client()
    where = {"StreamName": stream, "ShardId": SHARD, "ShardIteratorType": "TRIM_HORIZON"}
    page = client.get_records(ShardIterator=client.get_shard_iterator(**where)["ShardIterator"])
    return [orjson.loads(r["Data"]) for r in page["Records"]]
