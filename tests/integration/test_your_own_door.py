"""The page docs/your-own-door.md works as it is: its door, added to a copy of the repository, answers and follows."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import orjson
import pytest
import requests

from tests import servers
from tests.registered import Mlflow
from tests.servers import Server
from tests.toy import HOST, ROOT, Toy, free_port, until

PAGE = (ROOT / "docs" / "your-own-door.md").read_text()
FORGOTTEN = {  # what names each of the five files if it is left out
    "src/scorehouse/settings.py": "lines_metrics_port",
    "src/scorehouse/services.py": "add it to src/scorehouse/services.py",
    ".env": "LINES_METRICS_PORT",
    "Procfile": "add it to the Procfile",
    "docker-compose-serve.yml": "add it to a Compose file",
}


def block(start: str) -> str:
    """Return the code block of the page that begins with `start`."""
    found = [code for code in re.findall(r"^```\w+\n(.+?)^```", PAGE, re.S | re.M) if code.startswith(start)]
    assert len(found) == 1, f"the page has {len(found)} blocks that begin with {start!r}"
    return str(found[0])


def insert(path: Path, before: str, text: str) -> None:
    """Put `text` in front of the line that begins with `before`."""
    content = path.read_text()
    assert content.count(f"\n{before}") == 1, f"{path.name} has no line {before!r}"
    path.write_text(content.replace(f"\n{before}", f"\n{text}{before}"))


def add_door(repository: Path, forgotten: str = "") -> None:
    """Do what the page says: add the door's folder, and change five files, except for `forgotten`."""
    folder = repository / "server" / "lines"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""The lines door."""\n')
    (folder / "__main__.py").write_text(block('"""The lines door'))
    for name in FORGOTTEN.keys() - {forgotten}:
        change(repository / name)


def change(path: Path) -> None:
    """Change one of the five files."""
    if path.name == "settings.py":
        insert(path, "class Settings(\n", block("class LinesSettings") + "\n\n")
        replace(path, "class Settings(\n", "class Settings(\n    LinesSettings,\n")
    elif path.name == "services.py":
        insert(path, ")  # fmt: skip\nSERVICES", indent(block("Service(").rstrip(), "    ") + ",\n")
    elif path.name == "docker-compose-serve.yml":
        insert(path, "  web_service:", block("  lines:") + "\n")
        replace(path, " monitor=monitor:8085\n", " monitor=monitor:8085 lines=lines:9699\n")
        insert(path, "        8085:monitor=", block("        9699:lines="))
        insert(path, "      - ${BIND_ADDRESS:-127.0.0.1}:${MONITOR_PORT", block("      - ${BIND_ADDRESS"))
    else:
        added = block("# The lines door's port") if path.name == ".env" else block("lines: exec")
        path.write_text(path.read_text() + added)


def replace(path: Path, old: str, new: str) -> None:
    content = path.read_text()
    assert content.count(old) == 1, f"{path.name} has no {old!r}"
    path.write_text(content.replace(old, new))


def left_out(folder: str, names: list[str]) -> set[str]:
    """What a copy does without: environments, data, and hidden folders; the env files are hidden and needed."""
    return {name for name in names if name in {"var", "__pycache__"} or (name[0] == "." and name[:4] != ".env")}


@pytest.fixture
def copy() -> Iterator[Path]:
    """A copy of the repository at a short path, because the path of a Unix socket has at most 108 bytes."""
    with tempfile.TemporaryDirectory(prefix="door-") as folder:
        yield Path(shutil.copytree(ROOT, Path(folder) / "copy", ignore=left_out))


@pytest.fixture
def repository(copy: Path) -> Path:
    """A copy of the repository with the door in it."""
    add_door(copy)
    return copy


def promises(repository: Path) -> subprocess.CompletedProcess[str]:
    """Run the unit tests of a copy that compare the services with the files in which they are declared."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/test_promises.py",
         "-k", "env_file or service or procfile or prometheus or containers"],
        cwd=repository, env={**os.environ, "PYTHONPATH": f"{repository / 'src'}:{repository}"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_a_door_that_is_added_as_the_page_says_keeps_every_promise(repository: Path) -> None:
    done = promises(repository)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("forgotten", FORGOTTEN)
def test_a_file_that_was_forgotten_is_named(copy: Path, forgotten: str) -> None:
    add_door(copy, forgotten)
    done = promises(copy)
    assert done.returncode == 1
    assert FORGOTTEN[forgotten] in done.stdout


class Lines:
    """A client of the door."""

    def __init__(self, path: Path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rb")

    def ask(self, line: bytes) -> dict[str, Any]:
        self._socket.sendall(line + b"\n")
        answer: dict[str, Any] = orjson.loads(self._file.readline())
        return answer

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def deploy(repository: Path, environ: dict[str, str], run_id: str) -> None:
    """Deploy a run, and wait for the door as every deployment does."""
    done = subprocess.run(
        [sys.executable, "-m", "server.deploy"], cwd=repository, env={**os.environ, **environ, "RUN_ID": run_id},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"all doors are serving run {run_id} ")


def test_the_documented_door_answers_records_and_follows_a_deployment(
    repository: Path, toy: Toy, toy_records: list[dict[str, Any]], tmp_path: Path
) -> None:
    with servers.mlflow(tmp_path).running() as mlflow_server:
        mlflow = Mlflow(mlflow_server.address)
        first, second = (mlflow.with_bundle(toy) for _ in range(2))
        address = f"http://{HOST}:{free_port()}"
        environ = {
            "PYTHONPATH": f"{repository / 'src'}:{repository}",
            "DATA_FOLDER": str(repository / "data"),
            "MLFLOW_ADDRESS": mlflow_server.address,
            "LINES_METRICS_PORT": address.rpartition(":")[2],
            "DOORS": address,
        }
        door = Server([sys.executable, "-m", "server.lines"], address, repository / "lines.log", environ)
        with door.running():
            lines = Lines(until(lambda: next((repository / "data").glob("lines.sock"), None), 30, "the door listens"))
            assert lines.ask(b"{}")["problem"].startswith(("no model is loaded yet", "no model named churn"))
            assert requests.get(f"{address}/readyz", timeout=10).status_code == 503
            for run_id in (first, second):
                deploy(repository, environ, run_id)
                answer = lines.ask(orjson.dumps(toy_records[0] | {"prediction_id": f"mine-{run_id}"}))
                assert answer["model_run_id"] == run_id and answer["prediction_id"] == f"mine-{run_id}"
                assert 0 <= answer[toy.use_case.answer] <= 1
            assert lines.ask(b"not JSON")["problem"].startswith("the line is not JSON")
            assert "customer_age" in {e["field"] for e in lines.ask(b"{}")["errors"]}
            assert lines.ask(b"[]")["errors"][0]["problem"].startswith("is a list without any record")
            ready = requests.get(f"{address}/readyz", timeout=10).json()
            assert (ready["status"], ready["model_run_id"]) == ("ready", second)
            metrics = requests.get(f"{address}/metrics", timeout=10).text
            assert 'scorehouse_predictions_total{door="lines",use_case="churn"} 2.0' in metrics
            lines.close()
        journal = b"".join(p.read_bytes() for p in (repository / "data" / "journal").glob("lines-*.jsonl"))
        kept = [line for line in map(orjson.loads, journal.splitlines()) if line["kind"] == "prediction"]
        assert [line["prediction_id"] for line in kept] == [f"mine-{first}", f"mine-{second}"]
