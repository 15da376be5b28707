"""One training at a time, as the runs in a real MLflow say: who lives, who is dead, and what an error leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from model_orchestration.tracking import heartbeat
from model_orchestration.tracking.heartbeat import TAG, Heartbeat, end_dead_trainings
from model_orchestration.tracking.runs import Tracking
from model_orchestration.training.search import Trial
from scorehouse.errors import AlreadyRunning
from scorehouse.pages.loading import load_use_case
from tests import toy as toys
from tests.processes import until
from tests.servers import Server
from tests.toy import ROOT


@pytest.fixture
def client(mlflow_server: Server) -> Iterator[MlflowClient]:
    before = mlflow.get_tracking_uri()
    yield MlflowClient(mlflow_server.address)
    mlflow.set_tracking_uri(before)


@pytest.fixture
def experiment(client: MlflowClient) -> str:
    return str(client.create_experiment(f"e{uuid.uuid4().hex[:8]}"))


def training(client: MlflowClient, experiment: str) -> tuple[str, str]:
    """Return the parent and a trial of a training that has not ended."""
    parent = client.create_run(experiment).info.run_id
    client.set_tag(parent, TAG, "1")
    trial = client.create_run(experiment, tags={"mlflow.parentRunId": parent}).info.run_id
    return parent, trial


def status(client: MlflowClient, *runs: str) -> set[str]:
    return {client.get_run(run).info.status for run in runs}


def test_what_a_dead_training_left_ends_as_failed_and_the_own_runs_go_on(client: MlflowClient, experiment: str) -> None:
    dead, own = training(client, experiment), training(client, experiment)
    orphan = client.create_run(experiment, tags={"mlflow.parentRunId": uuid.uuid4().hex}).info.run_id
    naps: list[float] = []
    assert end_dead_trainings(client, experiment, own[0], naps.append) == 3
    assert status(client, *dead, orphan) == {"FAILED"} and status(client, *own) == {"RUNNING"}
    assert sum(naps) > 3 * heartbeat.BEAT_SECONDS  # a live one would have beaten meanwhile
    assert end_dead_trainings(client, experiment, own[0], naps.append) == 0


def test_a_training_that_beats_is_left_alone_and_no_second_one_starts(client: MlflowClient, experiment: str) -> None:
    alive, own = training(client, experiment), training(client, experiment)
    beating = Heartbeat(client, alive[0], seconds=0.05)
    try:
        with pytest.raises(AlreadyRunning, match=f"another training is running .run {alive[0]}.*wait until"):
            end_dead_trainings(client, experiment, own[0], lambda _: time.sleep(0.3))
    finally:
        beating.stop()
    assert status(client, *alive, *own) == {"RUNNING"}


def test_a_training_that_begins_while_one_watches_is_seen(client: MlflowClient, experiment: str) -> None:
    training(client, experiment)
    own = training(client, experiment)
    with pytest.raises(AlreadyRunning):
        end_dead_trainings(client, experiment, own[0], lambda _: training(client, experiment))


def test_of_two_trainings_the_second_is_refused_and_leaves_no_run(
    client: MlflowClient, mlflow_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(Heartbeat.__init__, "__defaults__", (0.05,))
    monkeypatch.setattr(heartbeat, "LOOK_SECONDS", 0.3)
    case = replace(load_use_case("churn"), name=f"e{uuid.uuid4().hex[:8]}")
    table = toys.table(case, 20)
    with Tracking(mlflow_server.address, case, table) as first:
        second = Tracking(mlflow_server.address, case, table)
        with pytest.raises(AlreadyRunning, match=first.parent):
            second.__enter__()
        assert client.get_run(second.parent).info.lifecycle_stage == "deleted"
        first.finish({})
    assert status(client, first.parent) == {"FINISHED"}


def test_an_error_ends_the_parent_and_its_open_runs_as_failed(client: MlflowClient, mlflow_server: Server) -> None:
    case = replace(load_use_case("churn"), name=f"e{uuid.uuid4().hex[:8]}")
    tracking = Tracking(mlflow_server.address, case, toys.table(case, 20))
    trial = Trial(0, case.estimators[0], {"max_depth": 3}, {"log_loss": float("nan")}, 0.0)
    with pytest.raises(KeyboardInterrupt), tracking:
        done = tracking.log_trial(replace(trial, figures={"log_loss": 0.1}))
        tracking._start("trial 01", {})
        raise KeyboardInterrupt
    experiment = client.get_run(tracking.parent).info.experiment_id
    ended = {run.info.run_id: run.info.status for run in client.search_runs([experiment])}
    assert ended.pop(done) == "FINISHED"
    assert sorted(ended.values()) == ["FAILED", "FAILED"] and tracking.parent in ended


def test_what_a_killed_training_left_is_ended_by_the_next_one(
    client: MlflowClient, training_environ: dict[str, str], tmp_path: Path
) -> None:
    use_case = "wine"
    pd.DataFrame(load_use_case(use_case).sample(400, 3, 0.0)).to_csv(tmp_path / "table.csv", index=False)
    told = {**training_environ, "USE_CASE": use_case, "DATA": str(tmp_path / "table.csv"), "TRIALS": "5000"}
    command = [sys.executable, "-m", "model_orchestration.train"]
    with (tmp_path / "log").open("wb") as out:
        killed = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **told}, stdout=out, stderr=out)

    def runs(wanted: str) -> set[str]:
        found = client.get_experiment_by_name(use_case)
        return {r.info.run_id for r in client.search_runs([found.experiment_id], wanted)} if found else set()

    try:
        until(lambda: len(runs("tags.kind = 'trial'")) >= 2, 120, "two trials are logged")
    finally:
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait(30)
    left = runs("attributes.status = 'RUNNING'")
    assert left
    experiment = client.get_experiment_by_name(use_case)
    assert experiment is not None
    end_dead_trainings(client, experiment.experiment_id, "", lambda _: None)
    assert not runs("attributes.status = 'RUNNING'") and status(client, *left) == {"FAILED"}
