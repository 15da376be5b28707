"""Promotion against a real MLflow: the job by its command, and the training's own recommendation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from scorehouse.registry.client import Registry
from scorehouse.usecase import load_use_case
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
