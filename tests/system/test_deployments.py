"""A change of RUN_ID fails no request and loses no record, can be rolled back, and is refused for a bad run."""

from __future__ import annotations

import gzip
import logging
import math
import os
import re
from collections import Counter
from itertools import cycle, islice
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import orjson
import pytest
import requests

from tests import models, processes
from tests.models import ONNX, REFERENCE, Model
from tests.processes import HOST, free_port, until
from tests.streams import RESULTS, Reader
from tests.system.running_stack import Load, RunningStack

log = logging.getLogger(__name__)
CHANGES = int(os.environ.get("RUN_ID_CHANGES", "3"))  # of RUN_ID under load; 20 are promised
RATE = int(os.environ.get("RUN_ID_RATE", "200"))  # requests, and as many stream records, a second
NOWHERE = "f" * 32
ANSWER = "churn chance"  # the key of an answer


@pytest.fixture(scope="module")
def other_toy(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model whose answers differ from the toy's."""
    return models.train(tmp_path_factory.mktemp("other") / "bundle", models.OTHER_RUN_ID, rows=500)


@pytest.fixture(scope="module")
def runs(stack: RunningStack, toy: Model, other_toy: Model) -> dict[str, Model]:
    """Four runs of two models in turn, each with its own bundle."""
    return {stack.mlflow.with_bundle(model): model for model in islice(cycle((toy, other_toy)), 4)}


def expected(model: Model, records: list[dict[str, Any]], folder: Path) -> list[float]:
    """Return what a scorer answers that has never served another model."""
    scorer = processes.scorer(folder, models.cache_in(folder, model))
    with processes.running(scorer):
        reply = requests.post(f"{scorer.url}/predict", json=records, timeout=30)
    answers: list[dict[str, Any]] = reply.json()
    assert reply.ok and {answer["model_run_id"] for answer in answers} == {model.manifest["run_id"]}
    return [float(answer[ANSWER]) for answer in answers]


def seconds_of_change(done: CompletedProcess[str], run_id: str) -> float:
    """Check that every door serves `run_id`, and return how long the change took."""
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"all doors are serving run {run_id} ")
    seconds = re.search(r"took ([\d.]+) s", done.stdout)
    assert seconds, done.stdout
    return float(seconds[1])


def test_changes_of_run_id_under_load_and_a_rollback_fail_no_request_and_lose_no_record(
    stack: RunningStack,
    runs: dict[str, Model],
    toy: Model,
    other_toy: Model,
    toy_records: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    ids = list(runs)
    seconds_of_change(stack.deploy(ids[-1]), ids[-1])
    load = Load(stack, toy_records, RATE)
    results = Reader(stack.engine.client(), RESULTS)
    took = []
    with load.sending():
        order = list(islice(cycle(ids), CHANGES))
        for run_id in order:
            took.append(seconds_of_change(stack.deploy(run_id), run_id))
            assert stack.served() == {run_id}
        before = order[-2] if len(order) > 1 else ids[-1]
        took.append(seconds_of_change(stack.command("server.rollback"), before))
        assert stack.served() == {before}
    until(lambda: results.more() >= len(load.put), 60, "every stream record has its answer")
    assert load.failed == Counter()
    over_stream = {(a := orjson.loads(data))["prediction_id"]: a for _, data in results.records}
    assert over_stream.keys() == {f"s{i}" for i in range(len(load.put))}
    right = {model: expected(model, toy_records, tmp_path / model.digest) for model in (toy, other_toy)}
    answers = [*load.answers, *((number, over_stream[f"s{i}"]) for i, number in enumerate(load.put))]
    for number, answer in answers:
        assert math.isclose(answer[ANSWER], right[runs[answer["model_run_id"]]][number], rel_tol=1e-6)
    assert {answer["model_run_id"] for _, answer in answers} >= set(order)
    assert len(load.answers) > RATE * sum(took) / 2, "the load was not what it should have been"
    log.info(
        "%d changes: %d requests and %d records, none failed or lost; %.1f s median, %.1f s at most",
        len(took), len(load.answers), len(load.put), np.median(took), max(took),
    )  # fmt: skip
    assert max(took) < 30


def check_refused(stack: RunningStack, done: CompletedProcess[str], reason: str, serves: str) -> None:
    """Check that nothing changed, and that one line says why."""
    assert done.returncode == 1, done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("deploy: ") and re.search(reason, line), line
    assert stack.served() == {serves}
    assert stack.mlflow.served() == serves


def test_a_run_that_cannot_be_served_is_refused_with_one_line_and_the_old_one_serves(
    stack: RunningStack, runs: dict[str, Model], toy: Model
) -> None:
    good = next(iter(runs))
    seconds_of_change(stack.deploy(good), good)
    onnx = (toy.folder / ONNX).read_bytes()
    reference = orjson.loads(gzip.decompress((toy.folder / REFERENCE).read_bytes()))
    reference["smoke"] = [answer + 0.01 for answer in reference["smoke"]]
    other_smoke = gzip.compress(orjson.dumps(reference))
    bare = stack.mlflow.run()
    stack.mlflow.register(bare, None)
    with_bundle = stack.mlflow.with_bundle
    for run_id, reason in (
        (NOWHERE, NOWHERE),
        (bare, "is not signed"),
        (with_bundle(toy, damage={ONNX: onnx[:-1]}), f"{ONNX} is damaged"),
        (with_bundle(toy, use_case="wine"), "is a model for wine, not for churn"),
        (with_bundle(toy, use_case_version=99), "version 99 of churn, but this code is version"),
        (with_bundle(toy, files={REFERENCE: other_smoke}), "predictions differ from the recorded ones"),
    ):
        check_refused(stack, stack.deploy(run_id), reason, good)
    away = f"http://{HOST}:{free_port()}"
    check_refused(stack, stack.deploy(list(runs)[1], MLFLOW_ADDRESS=away), "is not responding", good)
    last = stack.command("server.deployments").stdout.splitlines()[1]
    assert good in last and "now" in last


def test_a_door_that_does_not_follow_is_named_and_the_status_says_so(
    stack: RunningStack, runs: dict[str, Model]
) -> None:
    run_id, nobody = next(iter(runs)), f"http://{HOST}:{free_port()}"
    done = stack.deploy(run_id, DOORS=f"{stack.scorer.url},{nobody}")
    assert done.returncode == 1
    assert done.stderr == f"deploy: {nobody} is not responding\n"


def test_the_history_lists_what_served_when_who_changed_it_and_why(stack: RunningStack, runs: dict[str, Model]) -> None:
    first, second = list(runs)[:2]
    seconds_of_change(stack.deploy(first), first)
    seconds_of_change(stack.deploy(second, CHANGED_BY="ada", WHY="it is better"), second)
    head, now, before, *_ = stack.command("server.deployments").stdout.splitlines()
    assert head.split()[:2] == ["FROM", "(UTC)"]
    assert second in now and "ada" in now and now.endswith("it is better") and "now, " in now
    assert first in before and "a test" in before and before.endswith(f"RUN_ID={first}")
    seconds_of_change(stack.command("server.rollback"), first)
    assert stack.command("server.deployments").stdout.splitlines()[1].endswith(f"back from run {second}")


def test_promoted_in_mlflow_is_served_everywhere_and_a_bad_promotion_is_refused(
    stack: RunningStack, runs: dict[str, Model], toy: Model
) -> None:
    first, second = list(runs)[:2]
    stack.mlflow.alias("production", first)
    seconds_of_change(stack.deploy("production"), first)
    stack.mlflow.alias("production", second)
    until(lambda: stack.served() == {second}, 10, "the promoted run is served everywhere")
    until(
        lambda: "MLflow" in stack.command("server.deployments").stdout.splitlines()[1],
        20,
        "the history says that it was moved in MLflow",
    )
    bad = stack.mlflow.with_bundle(toy, damage={ONNX: b"nothing"})
    stack.mlflow.alias("production", bad)

    def reported() -> bool:
        refusals = [requests.get(f"{door}/readyz", timeout=5).json()["refused"] or "" for door in stack.doors]
        metrics = [requests.get(f"{door}/metrics", timeout=5).text for door in (stack.scorer.url, stack.stream.url)]
        return (
            all(bad in refusal for refusal in refusals)
            and all("scorehouse_model_refused{" in m for m in metrics)
            and all(re.search(r"scorehouse_model_refused\{[^}]*\} 1\.0", m) for m in metrics)
        )

    until(reported, 10, "every door reports that it refused the promoted run")
    assert stack.served() == {second}
    done = stack.command("server.rollback", WHY="a bad promotion")
    assert done.returncode == 0, done.stderr
    assert stack.mlflow.served() in runs
    until(lambda: stack.served() == {stack.mlflow.served()}, 10, "the previous run is served")
    seconds_of_change(stack.deploy(first), first)
    stack.mlflow.alias("production", second)
    assert stack.mlflow.served() == first, "deploying a run id stops following the alias"
