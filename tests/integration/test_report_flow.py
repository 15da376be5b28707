"""The report deployment on a real Prefect server: its schedules, and a run of it by a real worker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import servers
from tests.servers import Server
from tests.toy import HOST, ROOT

NAME = "evidently_data_reporting"
SECONDS = 300


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running Prefect server with the worker's pool."""
    with servers.prefect(tmp_path_factory.mktemp("prefect")).running() as server:
        pool = {"name": "scorehouse", "type": "process"}
        assert requests.post(f"{server.address}/api/work_pools/", json=pool, timeout=30).ok
        yield server


def run(prefect: Server, folder: Path, *command: str) -> str:
    """Run a command as the worker's container does; return what it printed."""
    env = {
        **os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PREFECT_API_URL": f"{prefect.address}/api",
        "PREFECT_HOME": str(folder / "prefect"), "DATA_FOLDER": str(folder), "MONGODB_ADDRESS": "",
        "MLFLOW_ADDRESS": f"http://{HOST}:9", "REPORT_TIME_WINDOW_MINUTES": "60", "REPORT_FOLDER": "",
    }  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    return ended.stdout


def get(prefect: Server, path: str) -> Any:
    answer = requests.get(f"{prefect.address}/api/{path}", timeout=30)
    assert answer.ok, answer.text
    return answer.json()


def test_the_deployment_runs_every_window_and_daily_and_its_worker_writes_the_index(
    prefect: Server, tmp_path: Path
) -> None:
    run(prefect, tmp_path, "reporting.apply")
    flow_run = run(prefect, tmp_path, "reporting.apply", "--run").split()[-1]
    deployment = get(prefect, f"deployments/name/{NAME}/{NAME}")
    schedules = [(s["schedule"], s["parameters"]) for s in deployment["schedules"]]
    assert [s.get("interval") for s, p in schedules if p == {"minutes": 60}] == [3600]
    assert [(s.get("cron"), s["timezone"]) for s, p in schedules if p == {"minutes": 1440}] == [("0 12 * * *", "UTC")]
    assert len(schedules) == 2
    run(prefect, tmp_path, "prefect", "worker", "start", "--pool", "scorehouse", "--type", "process", "--run-once")
    state = get(prefect, f"flow_runs/{flow_run}")["state"]
    asked = {"logs": {"flow_run_id": {"any_": [flow_run]}}}
    logs = requests.post(f"{prefect.address}/api/logs/filter", json=asked, timeout=30).json()
    assert state["type"] == "COMPLETED", "\n".join(line["message"] for line in logs)
    assert "nothing to report, because no records were scored" in (tmp_path / "reports" / "index.html").read_text()
    assert any("nothing to report" in line["message"] for line in logs)
