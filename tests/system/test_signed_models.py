"""Write access to MLflow and its artifacts serves no model: every door refuses what no trusted key has signed."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest
import requests

from tests import signing
from tests.models import MANIFEST, ONNX, Model
from tests.processes import until
from tests.registered import Mlflow
from tests.system.running_stack import RunningStack


def digest_of(mlflow: Mlflow, run_id: str) -> str:
    uri = mlflow.get("runs/get", run_id=run_id)["run"]["info"]["artifact_uri"]
    root = uri.removeprefix("mlflow-artifacts:/").strip("/")
    address = f"{mlflow.address}/api/2.0/mlflow-artifacts/artifacts/{root}/bundle/{MANIFEST}"
    return hashlib.sha256(requests.get(address, timeout=30).content).hexdigest()


def version_of(mlflow: Mlflow, run_id: str) -> str:
    (version,) = mlflow.get("model-versions/search", filter=f"run_id = '{run_id}'")["model_versions"]
    return str(version["version"])


def refused(stack: RunningStack, said: str) -> bool:
    """Whether every door says that it refused a run for this reason."""
    reports = [requests.get(f"{door}/readyz", timeout=5).json() for door in stack.doors]
    return all(said in str(report.get("refused")) for report in reports)


def sign(stack: RunningStack, what: str) -> str:
    """Sign a run, or what serves; return what the command printed."""
    done = stack.command("model_orchestration.sign", what)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def good(stack: RunningStack, toy: Model) -> str:
    """A signed run, which serves."""
    run_id = stack.mlflow.with_bundle(toy)
    done = stack.deploy(run_id)
    assert done.returncode == 0, done.stderr
    return run_id


@pytest.fixture
def swapped(stack: RunningStack, toy: Model) -> str:
    """A whole bundle with another model and a digest to match, which somebody without the private key registered."""
    onnx = (toy.folder / ONNX).read_bytes()
    return stack.mlflow.with_bundle(toy, files={ONNX: onnx + b"\0"}, signature="")


def test_no_door_serves_a_model_that_no_trusted_key_has_signed(
    stack: RunningStack, good: str, swapped: str, toy: Model, toy_records: list[dict[str, Any]]
) -> None:
    mlflow = stack.mlflow
    number = version_of(mlflow, swapped)
    digest = digest_of(mlflow, swapped)
    assert stack.deploy(swapped).stderr.startswith(f"deploy: run {swapped} is not signed")
    mlflow.alias("serving", swapped)  # past the command, as whoever may write to MLflow can
    forged = {
        "is not signed: if you trust it, sign it": "",
        "has the signature of another bundle": signing.signature(good, digest_of(mlflow, good)),
        "is not signed by a key in VERIFY_KEY": signing.signature(swapped, digest, key=signing.OTHER_KEY),
    }
    for said, signature in forged.items():
        if signature:
            mlflow.tag(number, signing.SIGNATURE_TAG, signature)
        until(lambda said=said: refused(stack, f"run {swapped} {said}"), 60, f"every door says {said}")
        assert stack.served() == {good}
        reply = requests.post(f"{stack.scorer.url}/predict", json=toy_records[0], timeout=10)
        assert reply.ok and reply.json()["model_run_id"] == good
    batch = stack.command("model_orchestration.batch", RUN_ID=swapped, BATCH_FOLDER=str(stack.folder))
    assert batch.returncode == 1 and f"run {swapped} is not signed by a key in VERIFY_KEY" in batch.stderr
    mlflow.alias("serving", good)


def test_a_model_that_a_person_trusts_is_signed_by_a_command_and_served(
    stack: RunningStack, good: str, toy: Model
) -> None:
    unsigned = stack.mlflow.with_bundle(toy, signature="")
    stack.mlflow.alias("serving", unsigned)
    until(lambda: refused(stack, f"run {unsigned} is not signed"), 60, "every door refuses it")
    done = sign(stack, unsigned)
    assert done.endswith(f"of churn, run {unsigned}\n") and done.startswith("signed version ")
    until(lambda: stack.served() == {unsigned}, 60, "every door serves it")


def test_a_model_that_was_changed_since_it_was_registered_is_not_signed(stack: RunningStack, toy: Model) -> None:
    manifest = orjson.dumps({**toy.manifest, "title": "changed", "run_id": "c" * 32})
    changed = stack.mlflow.with_bundle(toy, damage={MANIFEST: manifest}, signature="")
    done = stack.command("model_orchestration.sign")
    assert done.returncode == 1
    assert "make sign RUN_ID=" in done.stderr
    done = stack.command("model_orchestration.sign", changed)
    assert done.returncode == 1 and "does not match the registered digest" in done.stderr


def test_an_upgrade_signs_what_serves_and_served_and_nothing_else(stack: RunningStack, good: str, toy: Model) -> None:
    served = stack.mlflow.with_bundle(toy, signature="")
    other = stack.mlflow.with_bundle(toy, signature="")
    stack.mlflow.alias("serving", served)
    said = sign(stack, "--served")
    assert served in said and other not in said
    until(lambda: stack.served() == {served}, 60, "every door serves it")
    assert sign(stack, "--served") == "no model in use needs a signature\n"
