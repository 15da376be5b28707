"""The composed stack, brought up for real and used as a reader of the README does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import uuid
from typing import Any

import pytest
import requests

from tests.system.composed.project import (
    ENV_FILE,
    FILES,
    HOST,
    RECORD,
    ROOT,
    TRIALS,
    compose,
    containers,
    ill,
    key,
    make,
    services,
    until,
)
from tests.system.composed.traffic import kinesis

pytestmark = pytest.mark.compose


def predict(**more: object) -> dict[str, Any]:
    answer = requests.post(f"http://{HOST}:9696/predict", json={**RECORD, **more}, timeout=10)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_every_service_is_healthy_and_the_closing_table_says_where_it_is(stack: str) -> None:
    assert ill() == {} and sorted(containers()) == services()
    for port in (5051, 4200, 9696, 8085, 8888, 9091):
        assert f"{HOST}:{port}" in stack


def test_no_container_is_root_can_gain_rights_or_is_unbounded(stack: str) -> None:
    for service, about in containers().items():
        host = about["HostConfig"]
        assert host["CapDrop"] == ["ALL"] and "no-new-privileges:true" in host["SecurityOpt"], service
        assert host["Memory"] > 0 and host["RestartPolicy"]["Name"] == "unless-stopped", service
        assert host["LogConfig"]["Config"]["max-size"] and host["Init"], service
        assert about["Config"]["User"] not in {"", "root", "0"} or service == "localstack", service
        assert host["ReadonlyRootfs"] or service == "postgres", service
        assert not host["PortBindings"] or service in {"gateway", "reports", "mongodb"}, service


@pytest.mark.parametrize("name", ["local", "cloud"])
def test_the_files_are_valid_with_each_env_file_as_it_is_committed(stack: str, name: str) -> None:
    files = [word for file in FILES for word in ("-f", file)]
    command = [
        "docker",
        "compose",
        "--env-file",
        ".env",
        "--env-file",
        f".env.{name}",
        "--env-file",
        ".secrets.env",
        *files,
        "config",
        "--services",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "variable is not set" not in done.stderr, done.stderr
    assert ("localstack" in done.stdout.split()) == (name == "local")


def test_the_cloud_refuses_to_start_with_what_is_unsafe_and_says_what(stack: str) -> None:
    unsafe = {**os.environ, "BIND_ADDRESS": "0.0.0.0", "BUCKET_NAME": ""}
    done = subprocess.run(
        ["make", "up", "env=cloud"], cwd=ROOT, env=unsafe, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "BIND_ADDRESS=0.0.0.0" in done.stdout and "BUCKET_NAME" in done.stdout


def test_an_answer_of_the_http_door_is_in_the_store(stack: str, log: Any) -> None:
    id_ = f"compose-{uuid.uuid4().hex}"
    answer = predict(prediction_id=id_)
    assert 0 <= answer["churn chance"] <= 1
    kept = until("the prediction in the store", lambda: log.find_one({"_id": key(id_)}))
    assert kept["door"] == "http" and kept["model_run_id"] == answer["model_run_id"]


def test_a_record_put_into_the_stream_comes_back_scored_and_is_in_the_store(stack: str, log: Any) -> None:
    id_ = f"compose-{uuid.uuid4().hex}"
    client = kinesis()
    shards = client.list_shards(StreamName="results")["Shards"]
    at = {"StreamName": "results", "ShardIteratorType": "LATEST"}
    places = [client.get_shard_iterator(ShardId=s["ShardId"], **at)["ShardIterator"] for s in shards]
    client.put_record(
        StreamName="predictions", PartitionKey=id_, Data=json.dumps({**RECORD, "prediction_id": id_}).encode()
    )

    def answered() -> bool:
        for n, place in enumerate(places):
            found = client.get_records(ShardIterator=place)
            places[n] = found["NextShardIterator"]
            if any(json.loads(r["Data"]).get("prediction_id") == id_ for r in found["Records"]):
                return True
        return False

    until("the answer in the results stream", answered)
    assert until("the prediction in the store", lambda: log.find_one({"_id": key(id_)}))["door"] == "stream"


def test_the_readmes_walk_works_as_it_stands(stack: str, log: Any) -> None:
    walk = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (by_http,) = [block for block in walk if block.startswith("curl")]
    (by_stream,) = [block for block in walk if "put-record" in block]
    path = {**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}

    def said(block: str) -> str:
        command = ["bash", "-euc", block.replace("127.0.0.1", HOST)]
        return subprocess.run(command, env=path, capture_output=True, text=True, check=True, timeout=60).stdout

    assert 0 <= json.loads(said(by_http))["churn chance"] <= 1
    assert '"prediction_id":"mine"' in said(by_stream)
    assert until("it is stored", lambda: log.find_one({"_id": key("mine")}))["door"] == "stream"


def test_prometheus_reaches_every_target_and_knows_every_rule(stack: str) -> None:
    def targets() -> bool:
        found = requests.get(f"http://{HOST}:9091/api/v1/targets", timeout=5).json()["data"]["activeTargets"]
        return len(found) >= 4 and {t["health"] for t in found} == {"up"}

    until("every target up", targets)
    rules = requests.get(f"http://{HOST}:9091/api/v1/rules", timeout=5).json()["data"]["groups"]
    assert rules and {r["health"] for g in rules for r in g["rules"]} <= {"ok", "unknown"}


def test_prefect_holds_both_deployments_and_plans_the_next_training(stack: str) -> None:
    assert requests.get(f"http://{HOST}:4200/", timeout=10).status_code == 200
    deployments = f"http://{HOST}:4200/api/deployments/filter"
    names = {d["name"] for d in requests.post(deployments, json={}, timeout=10).json()}
    assert {"model_tuning_and_uploading", "evidently_data_reporting"} <= names

    def scheduled() -> bool:
        asked = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
        address = f"http://{HOST}:4200/api/flow_runs/count"
        return bool(requests.post(address, json=asked, timeout=10).json() > 0)

    until("Prefect's scheduler plans the next training", scheduled, 90)


def test_the_first_report_is_on_the_report_server(stack: str) -> None:
    def listed() -> list[str]:
        return re.findall(
            r'href="([^"]*\d{8}T\d{4}Z-[^"]*\.html)"', requests.get(f"http://{HOST}:8888/", timeout=5).text
        )

    page = until("a report in the index", listed, 120)[0]
    answer = requests.get(f"http://{HOST}:8888/{page}", timeout=10)
    assert answer.status_code == 200 and "churn" in answer.text


def test_prometheus_answers_every_query_of_dashboards_and_rules(stack: str) -> None:
    make("check-dashboards", f"PROMETHEUS=http://{HOST}:9091 --wait 120", seconds=200)


def trials() -> int:
    asked = {"experiment_ids": ["1"], "filter": "tags.kind = 'trial'"}
    found = requests.post(f"http://{HOST}:5051/api/2.0/mlflow/runs/search", json=asked, timeout=10).json()
    return len(found["runs"])


def test_mlflow_holds_the_trials_and_the_serving_model(stack: str) -> None:
    assert trials() == TRIALS
    api = f"http://{HOST}:5051/api/2.0/mlflow"
    wanted = {"name": "churn", "alias": "serving"}
    version = requests.get(f"{api}/registered-models/alias", params=wanted, timeout=10).json()["model_version"]
    ready = requests.get(f"http://{HOST}:9696/readyz", timeout=10).json()
    assert version["run_id"] == ready["model_run_id"]


def test_a_prediction_is_explained_and_the_form_is_there(stack: str) -> None:
    answer = requests.post(f"http://{HOST}:9696/explain", json=RECORD, timeout=10)
    assert answer.status_code == 200, answer.text
    assert "credit_limit" in answer.text
    page = requests.get(f"http://{HOST}:9696/", timeout=10)
    assert page.status_code == 200 and "credit_limit" in page.text


def test_a_customer_is_erased_and_does_not_come_back_with_the_shipper(stack: str, log: Any) -> None:
    ids = [predict(customer_id="compose-7", prediction_id=f"c7-{uuid.uuid4().hex}")["prediction_id"] for _ in range(3)]
    other = predict(customer_id="compose-8")["prediction_id"]
    until("all are stored", lambda: all(log.find_one({"_id": key(id_)}) for id_ in [*ids, other]))
    assert "customer compose-7: 3 predictions removed" in make("erase", "CUSTOMER_ID=compose-7", seconds=60)
    compose("restart", "shipper")
    until("the shipper is healthy", lambda: "shipper" not in ill())
    last = predict()["prediction_id"]
    until("the shipper ships", lambda: log.find_one({"_id": key(last)}))
    assert [log.find_one({"_id": key(id_)}) for id_ in ids] == [None] * 3 and log.find_one({"_id": key(other)})


def identities() -> dict[str, str]:
    return {service: container["Id"] for service, container in containers().items()}


def test_a_second_up_changes_nothing(stack: str) -> None:
    before, told = identities(), ENV_FILE.read_text()
    make("up", seconds=300)
    assert identities() == before
    assert ENV_FILE.read_text() == told and trials() == TRIALS
