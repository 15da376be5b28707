"""`make demo`'s own program: from nothing to an answer, a stream, a drift alarm; interrupted, it leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import requests

from tests.toy import HOST, ROOT, until

RECORD = {
    "customer_age": 50, "gender": "M", "dependent_count": 2, "education_level": 3, "marital_status": "married",
    "income_category": 2, "card_category": "blue", "months_on_book": 4, "total_relationship_count": 3,
    "credit_limit": 4000, "total_revolving_bal": 2511,
}  # fmt: skip


def demo(data_folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start the demo with a short search, as the leader of a process group: a terminal's Ctrl-C reaches the group."""
    env = {
        **os.environ,
        "DATA_FOLDER": str(data_folder),
        "TRIALS": "4",
        "USE_CASE": "churn",
        "DATA": "",
        "COLUMNS": "160",
    }
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "demo"], cwd=ROOT, env=env, stdout=output, stderr=output, start_new_session=True
        )


def left_over(data_folder: Path) -> list[str]:
    """Return the command lines of living processes that were given `data_folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mine = f"DATA_FOLDER={data_folder}".encode() in (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if mine and command:
            found.append(command)
    return found


def interrupt(process: subprocess.Popen[bytes]) -> int:
    os.killpg(process.pid, signal.SIGINT)
    return process.wait(60)


def goes_well_once(data_folder: Path, log: Path) -> None:
    process = demo(data_folder, log)

    def settled() -> bool:
        return process.poll() is not None or b"Everything keeps running" in log.read_bytes()

    try:
        until(settled, 420, "the demo is up")
        told = log.read_text()
        assert process.poll() is None, told
        assert "the drift alarm rose" in told
        assert "answered 3,000 of 3,000 records over HTTP" in told, told
        assert "answered 1,000 of 1,000 records over the stream" in told, told
        checked = [sys.executable, "-m", "monitoring.check_dashboards", f"http://{HOST}:9091", "--wait", "60"]
        found = subprocess.run(checked, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert found.returncode == 0, found.stdout
        answer = requests.post(f"http://{HOST}:9696/predict", json=RECORD, timeout=5).json()
        assert 0 < answer["churn chance"] < 1
        assert set(answer) == {"churn chance", "model_run_id", "prediction_id"}
        assert "columns drift" in requests.get(f"http://{HOST}:8888/", timeout=5).text
    finally:
        interrupt(process)
    assert "nothing is left running" in log.read_text()
    assert left_over(data_folder) == []


def test_the_demo_answers_tells_of_drift_and_leaves_nothing_behind_twice(tmp_path: Path) -> None:
    goes_well_once(tmp_path / "var", tmp_path / "first.log")
    goes_well_once(tmp_path / "var", tmp_path / "second.log")
