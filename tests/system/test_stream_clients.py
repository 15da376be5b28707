"""The stream scorer from outside: the AWS command line, a swapped model, and the metrics of its port."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import models, servers
from tests.engines import REGION, Engine
from tests.models import RUN_ID, Model
from tests.processes import Scorer, running, until
from tests.registered import Mlflow
from tests.streams import ERRORS, INPUT, RESULTS, Outcome, Reader, Traffic, stream_scorer

RECORD = (
    '{"customer_age":50,"gender":"M","dependent_count":2,"education_level":3,"marital_status":"married",'
    '"income_category":2,"card_category":"blue","months_on_book":4,"total_relationship_count":3,"credit_limit":4000,'
    '"total_revolving_bal":2511}'
)


def aws(engine: Engine, *arguments: str) -> dict[str, Any]:
    """Return what `aws kinesis <arguments>` prints."""
    command = [str(Path(sys.executable).parent / "aws"), "kinesis", *arguments, "--endpoint-url", engine.address]
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
    done = subprocess.run(
        command, env={**os.environ, **credentials}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


@pytest.mark.parametrize("payload", [RECORD, b64encode(RECORD.encode()).decode()], ids=["plain", "base64"])
def test_a_record_of_the_aws_command_line_is_answered(engine: Engine, scorer: Scorer, payload: str) -> None:
    place = ("--stream-name", RESULTS, "--shard-iterator-type", "TRIM_HORIZON", "--shard-id")
    with running(scorer):
        put = aws(engine, "put-record", "--stream-name", INPUT, "--partition-key", "1", "--data", payload)
        until(Reader(engine.client(), RESULTS).more, 20, "the answer is there")
        iterator = aws(engine, "get-shard-iterator", *place, put["ShardId"])["ShardIterator"]
        (record,) = aws(engine, "get-records", "--shard-iterator", iterator)["Records"]
    answer = json.loads(b64decode(record["Data"]))
    assert 0 <= answer.pop("churn chance") <= 1
    assert answer == {"model_run_id": RUN_ID, "prediction_id": f"{put['ShardId']}:{put['SequenceNumber']}"}
    assert record["PartitionKey"] == "1"


def test_a_model_is_swapped_under_traffic_without_a_gap(
    engine: Engine, traffic: Traffic, outcome: Outcome, toy: Model, tmp_path: Path
) -> None:
    with servers.mlflow(tmp_path / "mlflow").running() as server:
        mlflow = Mlflow(server.address)
        first, second = (mlflow.with_bundle(toy) for _ in range(2))
        scorer = stream_scorer(tmp_path / "data", "", engine.address, MLFLOW_ADDRESS=mlflow.address)
        mlflow.alias("serving", first)
        with running(scorer):
            traffic.put(engine.client(), 500)
            outcome.wait(traffic, 60)
            mlflow.alias("serving", second)
            until(lambda: scorer.wait_ready()["model_run_id"] == second, 20, "the other model serves")
            traffic.put(engine.client(), 500)
            outcome.wait(traffic, 60)
    outcome.check(traffic, once=True)
    runs = {json.loads(data)["model_run_id"] for _, data in outcome.results.records}
    assert runs == {first, second}


def test_without_a_model_it_waits_and_reads_nothing(
    engine: Engine, traffic: Traffic, outcome: Outcome, toy: Model, tmp_path: Path
) -> None:
    traffic.put(engine.client(), 200)
    scorer = stream_scorer(tmp_path / "data", "", engine.address)
    scorer.start()
    try:
        until(lambda: "scoring predictions" in scorer.said(), 30, "it has started")
        time.sleep(2)
        answer = requests.get(f"{scorer.url}/readyz", timeout=5)
        assert answer.status_code == 503
        assert answer.json()["problem"].startswith("no model is loaded yet: MLflow at 127.0.0.1:9 is not responding")
        assert requests.get(f"{scorer.url}/healthz", timeout=5).ok
        assert outcome.results.more() == 0
        models.cache_in(tmp_path / "data", toy, alias="serving")
        outcome.wait(traffic, 60)
    finally:
        scorer.stop()
    outcome.check(traffic, once=True)


def test_its_metrics_count_what_was_read_and_published(
    engine: Engine, scorer: Scorer, traffic: Traffic, outcome: Outcome
) -> None:
    traffic.put(engine.client(), 1000)
    with running(scorer):
        outcome.wait(traffic, 60)
        time.sleep(1)
        text = requests.get(f"{scorer.url}/metrics", timeout=5).text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    figures = {name: float(value) for name, value in lines.items()}
    assert figures[f'scorehouse_stream_records_in_total{{stream="{INPUT}"}}'] == 1000
    assert figures[f'scorehouse_stream_records_out_total{{stream="{RESULTS}"}}'] == 990
    assert figures[f'scorehouse_stream_records_out_total{{stream="{ERRORS}"}}'] == 10
    assert figures['scorehouse_predictions_total{door="stream",use_case="churn"}'] == 990
    assert figures['scorehouse_rejected_records_total{door="stream",use_case="churn"}'] == 10
    assert figures[f'scorehouse_stream_shards{{stream="{INPUT}"}}'] == 4
    assert figures[f'scorehouse_stream_up{{stream="{INPUT}"}}'] == 1
    assert figures[f'scorehouse_stream_batch_seconds_count{{stream="{INPUT}"}}'] >= 4
    behind = [value for name, value in figures.items() if name.startswith("scorehouse_stream_milliseconds_behind")]
    assert behind == [0, 0, 0, 0]


def test_a_wine_in_its_envelope_is_answered_in_its_envelope(engine: Engine, tmp_path: Path) -> None:
    wine = models.train(tmp_path / "wine", use_case="wine", rows=400, trials=1)
    scorer = stream_scorer(tmp_path / "data", models.cache_in(tmp_path / "data", wine), engine.address, USE_CASE="wine")
    (features,) = models.records("wine", 1)
    wrapped = json.dumps({"wine_features": features, "customer_id": 123}).encode()
    results = Reader(engine.client(), RESULTS)
    with running(scorer):
        engine.client().put_record(StreamName=INPUT, PartitionKey="any", Data=wrapped)
        until(results.more, 20, "the answer is there")
    ((key, data),) = results.records
    answer = json.loads(data)
    mark = answer["prediction"]["wine_quality"]
    assert type(mark) is int
    assert 3 <= mark <= 9
    assert key == "123"
    assert answer == {"model": "wine", "version": RUN_ID, "prediction": {"wine_quality": mark, "customer_id": 123}}
