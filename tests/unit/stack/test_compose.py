"""Starting one half of the stack while the other has its own troubles."""

from __future__ import annotations

import json
import subprocess
from io import StringIO

import pytest
from rich.console import Console

from stack.compose import SERVE, Compose
from stack.errors import StackError


def test_a_start_that_fails_shows_the_logs_of_its_own_half_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        words = command[4:] if command[1] == "compose" else command[1:]  # docker compose -f FILE …
        match words:
            case ["config", "--services"]:
                out = "scorer\nmonitor\n"
            case ["config", *_]:
                out = json.dumps({"services": {}})
            case ["ps", *_]:  # of the project: the other half as well
                lines = [("scorer", "exited"), ("monitor", "running"), ("mlflow", "exited")]
                out = "\n".join(json.dumps({"Service": name, "State": state, "Health": ""}) for name, state in lines)
            case ["logs", *_, "scorer"] if "mlflow" not in words:
                out = "the scorer's log"
            case ["version"]:
                out = ""
            case _:  # `up`, and logs of what this half does not have
                return subprocess.CompletedProcess(command, 1, "", f"failed: {words}")
        return subprocess.CompletedProcess(command, 0, out, "")

    monkeypatch.setattr(subprocess, "run", run)
    compose = Compose({}, Console(file=StringIO()), (SERVE,))
    with pytest.raises(
        StackError, match="`docker compose up --detach --quiet-pull` failed: see above\nthe scorer's log"
    ):
        compose.start()
