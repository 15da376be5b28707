"""The stream door from outside: Amazon's own command line, a swapped model, and what its port says."""

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

from tests import servers
from tests import toy as toys
from tests.engines import REGION, Engine
from tests.streams import ERRORS, INPUT, RESULTS, Outcome, Reader, Traffic, stream_scorer
from tests.toy import RUN_ID, Scorer, Toy, running, until

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
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("payload", [RECORD, b64encode(RECORD.encode()).decode()], ids=["plain", "base64"])
def test_amazons_command_line_gets_its_answer_back(engine: Engine, scorer: Scorer, payload: str) -> None:
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


def test_a_model_that_is_swapped_under_traffic_answers_on_without_a_gap(
    engine: Engine, traffic: Traffic, tmp_path: Path
) -> None:
    data, outcome = tmp_path / "data", Outcome(engine.client())
    with servers.mlflow(tmp_path / "mlflow").running() as mlflow:
        until(lambda: servers.answers(mlflow), servers.START_SECONDS, "MLflow is well")
        first, second = (registered(mlflow.address, data, tmp_path / name) for name in ("first", "second"))
        scorer = stream_scorer(data, "", engine.address, MLFLOW_ADDRESS=mlflow.address)
        serve(mlflow.address, first)
        with running(scorer):
            traffic.put(engine.client(), 500)
            outcome.wait(traffic, 60)
            serve(mlflow.address, second)
            until(lambda: scorer.wait_ready()["model_run_id"] == second[0], 20, "the other model serves")
            traffic.put(engine.client(), 500)
            outcome.wait(traffic, 60)
    outcome.check(traffic, once=True)
    runs = {json.loads(data)["model_run_id"] for _, data in outcome.results.records}
    assert runs == {first[0], second[0]}


def ask_mlflow(address: str, path: str, **body: Any) -> dict[str, Any]:
    """Return what MLflow's REST interface answers."""
    answer = requests.post(f"{address}/api/2.0/mlflow/{path}", json=body, timeout=60)
    assert answer.ok, answer.text
    found: dict[str, Any] = answer.json()
    return found


def registered(address: str, data: Path, folder: Path) -> tuple[str, str]:
    """Train a model in a run of its own, cached for the door; return the run and its registered version's number."""
    run_id = str(ask_mlflow(address, "runs/create", experiment_id="0", start_time=1)["run"]["info"]["run_id"])
    toys.cache_in(data, toys.train(folder, run_id))
    requests.post(f"{address}/api/2.0/mlflow/registered-models/create", json={"name": "churn"}, timeout=60)
    source = f"runs:/{run_id}/bundle"
    made = ask_mlflow(address, "model-versions/create", name="churn", source=source, run_id=run_id)
    return run_id, str(made["model_version"]["version"])


def serve(address: str, model: tuple[str, str]) -> None:
    """Point the alias that doors follow at `model`."""
    ask_mlflow(address, "registered-models/alias", name="churn", alias="serving", version=model[1])


def test_without_a_model_it_waits_and_reads_nothing(engine: Engine, toy: Toy, tmp_path: Path) -> None:
    data, traffic = tmp_path / "data", Traffic(toys.records(toy.use_case, 200))
    traffic.put(engine.client(), 200)
    scorer, outcome = stream_scorer(data, "", engine.address), Outcome(engine.client())
    scorer.start()
    try:
        until(lambda: "scoring predictions" in scorer.said(), 30, "it has started")
        time.sleep(2)
        answer = requests.get(f"{scorer.url}/readyz", timeout=5)
        assert answer.status_code == 503
        assert "RUN_ID" in answer.json()["problem"]
        assert requests.get(f"{scorer.url}/healthz", timeout=5).ok
        assert outcome.results.more() == 0
        toys.cache_in(data, toy, alias="serving")
        outcome.wait(traffic, 60)
    finally:
        scorer.stop()
    outcome.check(traffic, once=True)


def test_its_port_tells_what_came_and_went(engine: Engine, scorer: Scorer, traffic: Traffic) -> None:
    traffic.put(engine.client(), 1000)
    outcome = Outcome(engine.client())
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


def test_a_wine_in_its_envelope_gets_its_mark_under_its_customer(engine: Engine, tmp_path: Path) -> None:
    wine = toys.train(tmp_path / "wine", use_case="wine", rows=400)
    scorer = stream_scorer(tmp_path / "data", toys.cache_in(tmp_path / "data", wine), engine.address, USE_CASE="wine")
    (features,) = toys.records(wine.use_case, 1)
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
