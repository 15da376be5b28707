"""The real servers of the integration tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from scorehouse.pages.loading import load_use_case
from tests import servers
from tests import toy as toys
from tests.processes import ROOT
from tests.servers import Server
from tests.toy import Toy

FLOW_SECONDS = 300


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A churn model trained in this process by the product's path on a few sample rows, and its bundle on disk."""
    return toys.train(tmp_path_factory.mktemp("toy") / "bundle")


@pytest.fixture(scope="session")
def mongodb_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a MongoDB that may be written to: MONGODB_TEST_ADDRESS, or one that is started here."""
    if given := os.environ.get("MONGODB_TEST_ADDRESS"):
        yield given
        return
    with servers.mongod(tmp_path_factory.mktemp("mongodb")).running() as server:
        yield server.address


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running MLflow: do not stop this one, many tests share it."""
    with servers.mlflow(tmp_path_factory.mktemp("mlflow")).running() as server:
        yield server


@pytest.fixture(scope="session")
def training_environ(mlflow_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What `python -m model_orchestration.train` needs: MLflow, and a Prefect server that keeps nothing elsewhere."""
    folder = tmp_path_factory.mktemp("prefect")
    with servers.prefect(folder).running() as server:
        yield {
            "MLFLOW_ADDRESS": mlflow_server.address,
            "PREFECT_API_URL": f"{server.address}/api",
            "PREFECT_HOME": str(folder),
            "USE_CASE": "churn",
        }


def train(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the flow from the command line, as a person does."""
    return subprocess.run(
        [sys.executable, "-m", "model_orchestration.train"],
        cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, timeout=FLOW_SECONDS, check=False,
    )  # fmt: skip


@pytest.fixture(scope="session")
def trained_run(training_environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A RUN_ID that the real flow trained on a table on disk, and registered."""
    import pandas as pd

    table = tmp_path_factory.mktemp("table") / "table.csv"
    pd.DataFrame(load_use_case("churn").sample(1500, 1, 0.0)).to_csv(table, index=False)
    ended = train({**training_environ, "DATA": str(table), "TRIALS": "3"})
    assert ended.returncode == 0, ended.stderr[-4000:]
    return ended.stdout.split()[-1]
