"""Change RUN_ID, and the new model serves: no failed request, no lost record, a way back, and bad runs refused."""

from __future__ import annotations

import logging
import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import requests

from scorehouse.bundles.bundle import ONNX, REFERENCE
from scorehouse.scoring.schema import Rejected
from tests import engines, servers
from tests import toy as toys
from tests.engines import Engine
from tests.registered import Mlflow
from tests.servers import Server
from tests.streams import RESULTS, Reader, create_streams
from tests.system import house as houses
from tests.system.house import House, Load
from tests.toy import Toy, until

log = logging.getLogger(__name__)
CHANGES = int(os.environ.get("RUN_ID_CHANGES", "3"))  # of RUN_ID under load; 20 are promised
RATE = int(os.environ.get("RUN_ID_RATE", "200"))  # requests, and as many stream records, a second
NOWHERE = "f" * 32


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers.mlflow(tmp_path_factory.mktemp("mlflow")).running() as server:
        until(lambda: servers.answers(server), servers.START_SECONDS, "MLflow is well")
        yield server


@pytest.fixture(scope="module")
def stream_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = engines.ministack(tmp_path_factory.mktemp("engine"))
    with engine.running():
        create_streams(engine.client(), 2)
        yield engine


@pytest.fixture(scope="module")
def other_toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A model that answers otherwise than the toy does."""
    return toys.train(tmp_path_factory.mktemp("other") / "bundle", toys.OTHER_RUN_ID, rows=500)


@pytest.fixture(scope="module")
def house(mlflow_server: Server, stream_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Every door, two HTTP workers, and nothing deployed yet."""
    with houses.running(
        tmp_path_factory.mktemp("house"), Mlflow(mlflow_server.address), stream_engine, workers=2
    ) as house:
        yield house


@pytest.fixture(scope="module")
def runs(house: House, toy: Toy, other_toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Toy]:
    """Runs of two models in turn, each with its own bundle."""
    folder = tmp_path_factory.mktemp("runs")
    return {house.mlflow.with_bundle(made, folder): made for made in islice(cycle((toy, other_toy)), 4)}


def expected(toy: Toy, records: list[dict[str, Any]]) -> list[float]:
    scored = toy.bundle().scorer(toy.use_case).score(records)
    assert not any(isinstance(answer, Rejected) for answer in scored)
    return [float(answer) for answer in scored if not isinstance(answer, Rejected)]


def seconds_of(said: str) -> float:
    found = re.search(r"after ([\d.]+) s", said)
    assert found, said
    return float(found[1])


def changed(done: Any, run_id: str) -> float:
    """Return how long a change took that must have gone well."""
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"run {run_id} is served by every door")
    return seconds_of(done.stdout)


def test_run_id_changes_under_load_fail_no_request_and_lose_no_record_and_so_does_the_way_back(
    house: House, runs: dict[str, Toy], stream_engine: Engine, toy: Toy, toy_records: list[dict[str, Any]]
) -> None:
    ids = list(runs)
    changed(house.deploy(ids[-1]), ids[-1])
    load = Load(house, stream_engine.client(), toy_records, RATE)
    results = Reader(stream_engine.client(), RESULTS)
    took = []
    with load.sent():
        order = list(islice(cycle(ids), CHANGES))
        for run_id in order:
            took.append(changed(house.deploy(run_id), run_id))
            assert house.served() == {run_id}
        before = order[-2] if len(order) > 1 else ids[-1]
        took.append(changed(house.command("server.rollback"), before))
        assert house.served() == {before}
    until(lambda: results.more() >= len(load.put), 60, "every stream record has its answer")
    assert load.failed == Counter()
    over_stream = {(a := orjson.loads(data))["prediction_id"]: a for _, data in results.records}
    assert over_stream.keys() == {f"s{i}" for i in range(len(load.put))}
    right = {id(made): expected(made, toy_records) for made in runs.values()}
    answers = [*load.answers, *((number, over_stream[f"s{i}"]) for i, number in enumerate(load.put))]
    for number, answer in answers:
        made = runs[answer["model_run_id"]]
        assert math.isclose(answer[toy.use_case.answer], right[id(made)][number], rel_tol=1e-6)
    assert {answer["model_run_id"] for _, answer in answers} >= set(order)
    assert len(load.answers) > RATE * sum(took) / 2, "the load was not what it should have been"
    log.info(
        "%d changes: %d requests and %d records, none failed or lost; %.1f s median, %.1f s at most",
        len(took), len(load.answers), len(load.put), np.median(took), max(took),
    )  # fmt: skip
    assert max(took) < 30


def refused(house: House, done: Any, reason: str, serves: str) -> None:
    """Check that nothing was changed, and that one line says why."""
    assert done.returncode == 1, done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("deploy: ") and re.search(reason, line), line
    assert house.served() == {serves}
    assert house.mlflow.served() == serves


def test_a_run_that_cannot_be_served_is_refused_with_one_line_and_the_old_one_serves(
    house: House, runs: dict[str, Toy], toy: Toy, tmp_path: Path
) -> None:
    good = next(iter(runs))
    changed(house.deploy(good), good)
    onnx = (toy.folder / ONNX).read_bytes()
    reference = toy.bundle().reference
    smoke = replace(reference, smoke=reference.smoke + 0.01).to_bytes()
    bare = house.mlflow.run()
    house.mlflow.register(bare, None)
    of = house.mlflow.with_bundle
    for run_id, reason in (
        (NOWHERE, NOWHERE),
        (bare, "has no complete bundle"),
        (of(toy, tmp_path, damage={ONNX: onnx[:-1]}), f"{ONNX} is damaged"),
        (of(toy, tmp_path, use_case="wine"), "holds a model for wine, not for churn"),
        (of(toy, tmp_path, use_case_version=99), "version 99 of churn, this code is version"),
        (of(toy, tmp_path, files={REFERENCE: smoke}), "does not give the recorded predictions"),
    ):
        refused(house, house.deploy(run_id), reason, good)
    away = f"http://{toys.HOST}:{toys.free_port()}"
    refused(house, house.deploy(list(runs)[1], MLFLOW_ADDRESS=away), "does not answer", good)
    last = house.command("server.deployments").stdout.splitlines()[1]
    assert good in last and "now" in last


def test_a_door_that_does_not_follow_is_named_and_the_status_says_so(house: House, runs: dict[str, Toy]) -> None:
    run_id, nobody = next(iter(runs)), f"http://{toys.HOST}:{toys.free_port()}"
    done = house.deploy(run_id, DOORS=f"{house.scorer.url},{nobody}")
    assert done.returncode == 1
    assert done.stderr == f"deploy: {nobody} does not answer\n"


def test_what_served_when_and_who_changed_it_and_why_is_told(house: House, runs: dict[str, Toy]) -> None:
    first, second = list(runs)[:2]
    changed(house.deploy(first), first)
    changed(house.deploy(second, CHANGED_BY="ada", WHY="it is better"), second)
    head, now, before, *_ = house.command("server.deployments").stdout.splitlines()
    assert head.split()[:2] == ["FROM", "(UTC)"]
    assert second in now and "ada" in now and now.endswith("it is better") and "now, " in now
    assert first in before and "a test" in before and before.endswith(f"RUN_ID={first}")
    changed(house.command("server.rollback"), first)
    assert house.command("server.deployments").stdout.splitlines()[1].endswith(f"back from run {second}")


def test_promoted_in_mlflow_is_served_everywhere_and_a_bad_promotion_is_refused(
    house: House, runs: dict[str, Toy], toy: Toy, tmp_path: Path
) -> None:
    first, second = list(runs)[:2]
    house.mlflow.alias("production", first)
    changed(house.deploy("production"), first)
    house.mlflow.alias("production", second)
    until(lambda: house.served() == {second}, 10, "the promoted run is served everywhere")
    until(
        lambda: "MLflow" in house.command("server.deployments").stdout.splitlines()[1],
        20,
        "the history tells that it was moved in MLflow",
    )
    bad = house.mlflow.with_bundle(toy, tmp_path, damage={ONNX: b"nothing"})
    house.mlflow.alias("production", bad)

    def told() -> bool:
        said = [requests.get(f"{door}/readyz", timeout=5).json()["refused"] or "" for door in house.doors]
        metrics = [requests.get(f"{door}/metrics", timeout=5).text for door in (house.scorer.url, house.stream.url)]
        return (
            all(bad in one for one in said)
            and all("scorehouse_model_refused{" in m for m in metrics)
            and all(re.search(r"scorehouse_model_refused\{[^}]*\} 1\.0", m) for m in metrics)
        )

    until(told, 10, "every door tells that it refused the promoted run")
    assert house.served() == {second}
    done = house.command("server.rollback", WHY="a bad promotion")
    assert done.returncode == 0, done.stderr
    assert house.mlflow.served() in runs
    until(lambda: house.served() == {house.mlflow.served()}, 10, "the way back is served")
    changed(house.deploy(first), first)
    house.mlflow.alias("production", second)
    assert house.mlflow.served() == first, "a run id ends the following"
