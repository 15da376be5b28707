"""/invocations as MLflow's and SageMaker's clients call it, against real doors: what /predict answers, it answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
import requests
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from tests import toy as toys
from tests.toy import HOST, Scorer, Toy

ROWS = 40
PLAIN = (
    "prediction_id", "airline", "source", "destination", "total_stops", "date", "month", "year", "dep_hours", "dep_min",
    "arrival_hours", "arrival_min", "duration_hours", "duration_min",
)  # fmt: skip


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return toys.train(tmp_path_factory.mktemp("flights") / "bundle", use_case="flights", rows=600)


@pytest.fixture(scope="module")
def door(flights: Toy, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The door as SageMaker starts it: the bundle packed, no registry, and a port that it chooses."""
    folder = tmp_path_factory.mktemp("sagemaker")
    shutil.copytree(flights.folder, folder / "model")
    port = toys.free_port()
    environ = {"DATA_FOLDER": str(folder / "data"), "BIND_ADDRESS": HOST, "SAGEMAKER_BIND_TO_PORT": str(port),
               "SAGEMAKER_MODEL": str(folder / "model"), "MLFLOW_ADDRESS": f"http://{HOST}:9"}  # fmt: skip
    scorer = Scorer("server.web.sagemaker", environ, folder / "log", url=f"http://{HOST}:{port}")
    with toys.running(scorer):
        yield scorer


@pytest.fixture(scope="module")
def records(flights: Toy) -> list[dict[str, Any]]:
    return toys.records(flights.use_case, ROWS)


@pytest.fixture(scope="module")
def expected(door: Scorer, records: list[dict[str, Any]]) -> list[float]:
    return [requests.post(f"{door.url}/predict", json=record, timeout=10).json()["price"] for record in records]


def answers(door: Scorer, **sent: Any) -> list[float]:
    reply = requests.post(f"{door.url}/invocations", timeout=10, **sent)
    assert reply.status_code == 200, reply.text
    found: list[float] = reply.json()["predictions"]
    return found


def test_mlflows_own_client_gets_what_predict_answers(
    door: Scorer, records: list[dict[str, Any]], expected: list[float]
) -> None:
    where = urlsplit(door.url)
    client = ScoringServerClient(where.hostname, where.port)
    client.wait_server_ready(timeout=10)
    for data in (pd.DataFrame(records), records):
        assert list(client.invoke(data).get_predictions()[0]) == expected


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "instances", "inputs", "columns of inputs"])
def test_every_input_format_of_mlflow_agrees_with_predict(
    door: Scorer, records: list[dict[str, Any]], expected: list[float], form: str
) -> None:
    frame = pd.DataFrame(records)[list(records[0])[::-1]]
    body = {
        "dataframe_split": {"dataframe_split": json.loads(frame.to_json(orient="split"))},
        "dataframe_records": {"dataframe_records": json.loads(frame.to_json(orient="records"))},
        "instances": {"instances": records},
        "inputs": {"inputs": records},
        "columns of inputs": {"inputs": {name: [r[name] for r in records] for name in records[0]}},
    }[form]
    assert answers(door, json=body) == expected


def test_csv_agrees_with_predict(door: Scorer, records: list[dict[str, Any]], expected: list[float]) -> None:
    text = pd.DataFrame(records).to_csv(index=False)
    assert answers(door, data=text, headers={"Content-Type": "text/csv"}) == expected


def test_flights_plain_columns_agree_with_predict(
    door: Scorer, records: list[dict[str, Any]], expected: list[float]
) -> None:
    ids = [f"mine-{i}" for i in range(ROWS)]
    body = {name: ids if name == "prediction_id" else [r[name] for r in records] for name in PLAIN}
    assert answers(door, json=body) == expected
    assert answers(door, json=body) == expected  # the same ids again


def test_sagemakers_ping_is_answered_and_an_unknown_airline_is_scored(
    door: Scorer, records: list[dict[str, Any]]
) -> None:
    assert requests.get(f"{door.url}/ping", timeout=10).status_code == 200
    assert len(answers(door, json={"instances": [{**records[0], "airline": "New Air"}]})) == 1
    bad = requests.post(f"{door.url}/invocations", json={"instances": [{**records[0], "month": 13}]}, timeout=10)
    assert bad.status_code == 422
    assert bad.json()["records"][0]["errors"][0]["field"] == "month"
    assert 'scorehouse_machine_used_share{part="disk",use_case="flights"}' in requests.get(
        f"{door.url}/metrics", timeout=10
    ).text  # fmt: skip


def test_the_packed_model_is_kept_where_the_door_may_write(door: Scorer, flights: Toy) -> None:
    kept = Path(door.environ["DATA_FOLDER"]) / "bundles" / flights.bundle().manifest.run_id
    assert (kept / "model.onnx").read_bytes() == (flights.folder / "model.onnx").read_bytes()
