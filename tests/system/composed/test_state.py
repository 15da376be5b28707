"""What the stack remembers: a rollback lasts, whatever starts or trains afterwards."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.system.composed.models import change_run_id, registered, serving
from tests.system.composed.project import ENV_FILE, HOST, containers, make, until

pytestmark = pytest.mark.compose
TRAINING_SECONDS = 400
API = f"http://{HOST}:4200/api"


def flow_runs(state: str) -> set[str]:
    """Return the ids of the trainings in a state: COMPLETED, FAILED, …"""
    asked = {
        "flows": {"name": {"any_": ["model_tuning_and_uploading"]}},
        "flow_runs": {"state": {"type": {"any_": [state]}}},
    }
    found = requests.post(f"{API}/flow_runs/filter", json=asked, timeout=10).json()
    return {one["id"] for one in found}


def judgement(run: str) -> str:
    """Return how a training judged its model, as its page in Prefect shows it."""
    asked = {"artifacts": {"flow_run_id": {"any_": [run]}, "key": {"any_": ["churn-promotion"]}}}
    (found,) = requests.post(f"{API}/artifacts/filter", json=asked, timeout=10).json()
    return str(found["data"])


def test_a_run_that_was_rolled_back_returns_neither_by_up_nor_by_a_training(runs: list[str], log: Any) -> None:
    kept, left = sorted(runs, key=lambda run_id: {run_id} != serving())
    if serving() != {kept}:
        change_run_id(kept)
    change_run_id(left)
    make("rollback", "WHY=it-offers-too-little", seconds=60)
    until("the way back is served", lambda: serving() == {kept})

    with ENV_FILE.with_name(f"{ENV_FILE.name}.machine").open("a") as settings:
        settings.write("AUTO_PROMOTE=true\n")
    make("up", seconds=600)  # RUN_ID in the env file still names the run that was left
    assert serving() == {kept}
    assert "AUTO_PROMOTE=true" in containers()["worker"]["Config"]["Env"]

    known, done = len(registered()), flow_runs("COMPLETED")
    make("apply-model-train-flow", seconds=120)
    (training,) = until("the training is completed", lambda: flow_runs("COMPLETED") - done, TRAINING_SECONDS)
    assert len(registered()) == known + 1
    assert "went back from run" in judgement(training) and "the hold is not lifted" in judgement(training)
    assert serving() == {kept}

    said = make("deployments", seconds=60)
    assert "held since" in said and "it-offers-too-little" in said
    assert f"never of run {left}" in make("lift-hold", seconds=60)
    make("up", seconds=600)
    assert serving() == {kept}, "a hold that is lifted deploys nothing"
