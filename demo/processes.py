"""Starts and stops the processes of the Procfile, each with its log, and waits until they answer."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path

import requests

from scorehouse.errors import ScorehouseError

ROOT = Path(__file__).parents[1]
STOP_SECONDS = 15  # honcho itself kills after 5
PORTS = {
    "MLflow": 5051,
    "Prefect": 4200,
    "the HTTP scorer": 9696,
    "the stream scorer": 9697,
    "the shipper": 9698,
    "the monitor": 8085,
    "the report page": 8888,
    "the emulator": 4566,
}
EMULATOR, PROMETHEUS = "http://127.0.0.1:4566", "http://127.0.0.1:9091"


class StackError(ScorehouseError):
    """The stack cannot be started, or a part of it died."""


def environment(data_folder: Path, use_case: str) -> dict[str, str]:
    """Return what every process of the stack finds in its environment."""
    settings = {
        "USE_CASE": use_case,
        "DATA_FOLDER": str(data_folder),
        "RUN_ID": "",
        "MLFLOW_ADDRESS": "http://127.0.0.1:5051",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PREFECT_HOME": str(data_folder / "prefect"),
        "PREFECT_API_URL": "http://127.0.0.1:4200/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
        "KINESIS_ADDRESS": EMULATOR,
        "S3_ADDRESS": EMULATOR,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": "",
        "AWS_DEFAULT_REGION": "us-east-1",
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    return {**os.environ, **settings}


def write_ahead(database: Path) -> None:
    """Have SQLite write ahead in `database`, where it can: MLflow logs a trial in six sevenths of the time."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(database)) as connection, suppress(sqlite3.OperationalError):  # somebody looks into it
        connection.execute("PRAGMA journal_mode=WAL")  # the file remembers it


def prometheus(data_folder: Path) -> list[str]:
    """Return the command of Prometheus with the product's scrapes and rules; empty where it is not installed."""
    if shutil.which("prometheus") is None:
        return []
    return [
        "prometheus",
        f"--config.file={ROOT / 'monitoring' / 'prometheus' / 'prometheus.local.yml'}",
        f"--storage.tsdb.path={data_folder / 'prometheus'}",
        f"--web.listen-address={PROMETHEUS.removeprefix('http://')}",
        f"--web.external-url={PROMETHEUS}",
        "--log.level=warn",
    ]


class Stack:
    """The running processes; `stop` leaves none of them."""

    def __init__(self, env: Mapping[str, str], log: Path, ports: Mapping[str, int] = PORTS):
        """Start them all. Raises StackError when one of `ports` is taken."""
        for name, port in ports.items():
            if _is_taken(port):
                raise StackError(
                    f"port {port} is taken, but {name} needs it: stop what listens there (`lsof -i :{port}`)"
                )
        write_ahead(Path(env["DATA_FOLDER"]) / "mlflow.db")
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log, self._file = log, log.open("w")
        self._env, self._beside = dict(env), list[subprocess.Popen[bytes]]()
        command = [sys.executable, "-m", "honcho", "-f", str(ROOT / "Procfile"), "start", "--no-colour"]
        self._honcho = subprocess.Popen(
            command, cwd=ROOT, env=self._env, stdout=self._file, stderr=subprocess.STDOUT, start_new_session=True
        )

    def wait_for(self, name: str, address: str, seconds: float = 120, ready: Callable[[], bool] | None = None) -> None:
        """Return once `address` answers 200 (and `ready` says so). Raises StackError when it does not in time."""
        ends = time.monotonic() + seconds
        while not (_answers(address) and (ready is None or ready())):
            if self._honcho.poll() is not None:
                raise StackError(f"a process of the stack died; the end of {self.log}:\n{self.tail()}")
            if time.monotonic() > ends:
                raise StackError(f"{name} did not answer within {seconds:.0f} s; the end of {self.log}:\n{self.tail()}")
            time.sleep(0.1)

    def start(self, module: str, *arguments: str) -> None:
        """Start one more of the house's commands, whose end ends nobody else."""
        self.beside([sys.executable, "-m", module, *arguments])

    def beside(self, command: list[str]) -> None:
        """Start a program whose end ends nobody else."""
        self._beside.append(
            subprocess.Popen(
                command, cwd=ROOT, env=self._env, stdout=self._file, stderr=subprocess.STDOUT, start_new_session=True
            )
        )

    def alive(self) -> bool:
        """Say whether all processes run: honcho ends them all when one dies."""
        return self._honcho.poll() is None

    def tail(self, lines: int = 25) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """End every process, by force where asking does not help."""
        for process in self._beside:
            process.terminate()
        if self._honcho.poll() is None:
            self._honcho.send_signal(signal.SIGTERM)
            try:
                self._honcho.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._honcho.pid, signal.SIGKILL)
        for process in self._beside:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        self._file.close()


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=2).ok
    except requests.RequestException:
        return False
