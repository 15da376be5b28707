"""`make demo`'s own program: from nothing to a drift alarm. However it ends, it leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from tests.processes import HOST, ROOT, until

RECORD = {
    "customer_age": 50, "gender": "M", "dependent_count": 2, "education_level": 3, "marital_status": "married",
    "income_category": 2, "card_category": "blue", "months_on_book": 4, "total_relationship_count": 3,
    "credit_limit": 4000, "total_revolving_bal": 2511,
}  # fmt: skip
PORTS = {
    "SCORER_PORT": "9700", "MONITOR_PORT": "9701", "STREAM_METRICS_PORT": "9702", "SHIPPER_METRICS_PORT": "9703",
    "REPORT_PORT": "9704",
}  # fmt: skip


SHOWN = {"SCORER_PORT": "9696", "MONITOR_PORT": "8085", "REPORT_PORT": "8888"}


@contextmanager
def demo(data_folder: Path, log: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the demo with a short search. It leads a process group, as in a terminal, and ignores SIGINT at its start."""
    env = {
        **os.environ,
        "DATA_FOLDER": str(data_folder),
        "TRIALS": "4",
        "USE_CASE": "churn",
        "DATA": "",
        "COLUMNS": "160",
    }
    command = ["sh", "-c", 'trap "" INT; exec "$0" -m demo', sys.executable]  # as a background shell does
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**env, **variables}, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        kill_left_over(process, data_folder)


def kill_left_over(process: subprocess.Popen[bytes], data_folder: Path) -> None:
    """End everything that the demo started, whatever became of the test."""
    process.kill()
    process.wait()
    for pid in processes_of(data_folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def processes_of(data_folder: Path) -> dict[int, str]:
    """Return the command lines of living processes that were given `data_folder`, by their ids."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            given = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"DATA_FOLDER={data_folder}".encode() in given and command:
            found[int(process.name)] = command
    return found


def answers_from_start_to_drift_alarm(data_folder: Path, log: Path, ports: dict[str, str]) -> None:
    scorer = ports.get("SCORER_PORT", "9696")
    reports = ports.get("REPORT_PORT", "8888")
    with demo(data_folder, log, **ports) as process:

        def is_settled() -> bool:
            return process.poll() is not None or b"Everything keeps running" in log.read_bytes()

        until(is_settled, 420, "the demo is up")
        printed = log.read_text()
        assert process.poll() is None, printed
        assert "the drift alert fired" in printed
        assert "answered 3,000 of 3,000 records over HTTP" in printed, printed
        assert "answered 1,000 of 1,000 records over the stream" in printed, printed
        assert all(f"http://127.0.0.1:{ports.get(name, usual)}/" in printed for name, usual in SHOWN.items()), printed
        checked = [sys.executable, "-m", "monitoring.check_dashboards", f"http://{HOST}:9091", "--wait", "60"]
        found = subprocess.run(checked, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert found.returncode == 0, found.stdout
        answer = requests.post(f"http://{HOST}:{scorer}/predict", json=RECORD, timeout=5).json()
        assert 0 < answer["churn chance"] < 1
        assert set(answer) == {"churn chance", "model_run_id", "prediction_id"}
        assert "columns drift" in requests.get(f"http://{HOST}:{reports}/", timeout=5).text
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
        assert "nothing is running any more" in log.read_text()
        assert processes_of(data_folder) == {}


def test_the_demo_answers_reports_drift_and_leaves_nothing_behind_twice(tmp_path: Path) -> None:
    answers_from_start_to_drift_alarm(tmp_path / "var", tmp_path / "first.log", {})
    answers_from_start_to_drift_alarm(tmp_path / "var", tmp_path / "second.log", PORTS)


@pytest.mark.parametrize(
    ("name", "process_of_that_moment"),
    [
        ("SIGHUP", "prefect server start"),
        ("SIGKILL", "prefect server start"),
        ("SIGTERM", "model_orchestration.train"),
        ("SIGKILL", "model_orchestration.train"),
    ],
)
def test_a_demo_whose_terminal_closes_or_that_is_killed_leaves_nothing_behind(
    name: str, process_of_that_moment: str, tmp_path: Path
) -> None:
    data_folder = tmp_path / "var"
    with demo(data_folder, tmp_path / "demo.log") as process:

        def is_reached() -> bool:
            assert process.poll() is None, (tmp_path / "demo.log").read_text()
            return any(process_of_that_moment in command for command in processes_of(data_folder).values())

        until(is_reached, 400, process_of_that_moment)
        os.kill(process.pid, signal.Signals[name])
        process.wait(60)
        until(lambda: not processes_of(data_folder), 40, "every process is gone")
