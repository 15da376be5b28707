"""Prefect in the demo: a page in a browser of this machine must not use it."""

from __future__ import annotations

from pathlib import Path

import requests

from demo.processes import environment
from tests.processes import run
from tests.servers import prefect


def test_the_demos_prefect_answers_the_demos_processes_and_nobody_else(tmp_path: Path) -> None:
    demo = environment(tmp_path, "churn")
    server = prefect(tmp_path / "prefect")
    names = ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING")
    server.environ = server.environ | {name: demo[name] for name in names}
    with server.running():
        asked = f"{server.address}/api/flows/filter"
        foreign = {"Origin": "http://evil.example", "Host": "evil.example"}
        assert requests.post(asked, json={}, headers=foreign, timeout=10).status_code == 401
        assert requests.post(asked, json={}, timeout=10).status_code == 401
        ours = {"PREFECT_API_URL": f"{server.address}/api", names[0]: demo[names[0]]}
        done = run("prefect", "deployment", "ls", PREFECT_HOME=str(tmp_path / "client"), **ours)
        assert done.returncode == 0, done.stderr
    assert environment(tmp_path, "churn")[names[0]] != demo[names[0]], "each demo has its own"
