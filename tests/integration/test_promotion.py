"""Promotion against a real MLflow: the job by its command, and the training's own recommendation."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
import requests

from model_orchestration.promotion.lock import PromotionLock
from scorehouse.errors import RunNotFound
from scorehouse.pages.loading import load_use_case
from scorehouse.registry.client import Hold, Registry
from tests.registered import USE_CASE, Mlflow
from tests.servers import Server
from tests.toy import ROOT, Toy


@pytest.fixture
def environ(mlflow_server: Server, tmp_path: Path) -> dict[str, str]:
    table = tmp_path / "table.csv"
    pd.DataFrame(load_use_case(USE_CASE).sample(800, 1, 0.0)).to_csv(table, index=False)
    return {
        "MLFLOW_ADDRESS": mlflow_server.address,
        "DATA_FOLDER": str(tmp_path),
        "DATA": str(table),
        "USE_CASE": USE_CASE,
    }


def promote(environ: dict[str, str], run_id: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "model_orchestration.promote", run_id]
    given = {**os.environ, **environ, "RUN_ID": "", "CHANGED_BY": "ada"}
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=120, check=False)


def test_the_first_is_promoted_an_equal_one_is_not_and_both_have_their_report(
    environ: dict[str, str], mlflow_server: Server, toy: Toy, tmp_path: Path
) -> None:
    mlflow, registry = Mlflow(mlflow_server.address), Registry(mlflow_server.address)
    first, equal = (mlflow.with_bundle(toy) for _ in range(2))
    done = promote(environ, first)
    assert done.returncode == 0, done.stderr
    assert f"Run `{first}` is promoted to **production**." in done.stdout
    assert registry.version_by_alias(USE_CASE, "production").run_id == first
    done = promote(environ, "")  # the newest one
    assert f"Run `{equal}` is not promoted." in done.stdout
    assert registry.version_by_alias(USE_CASE, "production").run_id == first
    assert registry.artifact(equal, "promotion/report.md").decode() == done.stdout


def test_during_a_hold_nobody_is_promoted(environ: dict[str, str], mlflow_server: Server, toy: Toy) -> None:
    mlflow, registry = Mlflow(mlflow_server.address), Registry(mlflow_server.address)
    run_id = mlflow.with_bundle(toy)
    for alias in mlflow.get("registered-models/get", name=USE_CASE)["registered_model"].get("aliases", []):
        address = f"{mlflow_server.address}/api/2.0/mlflow/registered-models/alias"
        body = {"name": USE_CASE, "alias": alias["alias"]}
        requests.delete(address, json=body, timeout=60).raise_for_status()
    registry.set_hold(USE_CASE, Hold("ada", "too many refusals", datetime.now(UTC), "f" * 32))
    try:
        done = promote(environ, run_id)
    finally:
        registry.lift_hold(USE_CASE)
    assert done.returncode == 0, done.stderr
    assert f"Run `{run_id}` is not promoted to **production**: ada went back" in done.stdout
    with pytest.raises(RunNotFound):
        registry.version_by_alias(USE_CASE, "production")


def test_one_promotion_at_a_time_by_claims_in_the_registry(mlflow_server: Server, toy: Toy) -> None:
    run_id = Mlflow(mlflow_server.address).with_bundle(toy)
    registry = Registry(mlflow_server.address)
    before = registry.tags(USE_CASE)
    with PromotionLock(registry, USE_CASE).acquire():
        assert not PromotionLock(registry, USE_CASE)._claim()
        assert len(registry.tags(USE_CASE)) == len(before) + 1
    assert registry.tags(USE_CASE) == before
    registry.remove_tag(USE_CASE, "never set")
    registry.tag_run(run_id, "test_window", "1")
    assert registry.run_tags(run_id)["test_window"] == "1"


def test_a_run_that_does_not_exist_is_named_in_one_line(environ: dict[str, str]) -> None:
    done = promote(environ, "f" * 32)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("promote: ") and "f" * 32 in line


def test_a_training_recommends_and_moves_no_alias_by_itself(mlflow_server: Server, trained_run: str) -> None:
    report = Registry(mlflow_server.address).artifact(trained_run, "promotion/report.md").decode()
    assert (
        f"`make promote run={trained_run}` promotes it" in report or f"Run `{trained_run}` is not promoted." in report
    )
