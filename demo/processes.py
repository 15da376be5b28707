"""Starts and stops the demo's processes, each with its own log, and waits until they are ready."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO

import requests

from scorehouse.errors import ScorehouseError
from scorehouse.services import SERVICES, Service
from scorehouse.settings import Settings
from stack.signing import make_key, signing_variables

ROOT = Path(__file__).parents[1]
PROCFILE = ROOT / "Procfile"
PROMETHEUS = ROOT / "monitoring" / "prometheus" / "start.sh"


class DemoError(ScorehouseError):
    """The demo cannot be started, or one of its processes died."""


def environment(data_folder: Path, use_case: str) -> dict[str, str]:
    """Return the environment of every process: the shell's, with all services on this machine.

    The key pair is that of the checkout, which is created if there is none.
    """
    make_key(ROOT)
    emulator = f"http://127.0.0.1:{SERVICES['localstack'].port}"
    # Prefect checks neither Host nor Origin: without a password, any page in this machine's browser could use it.
    prefect = f"demo:{secrets.token_hex(16)}"
    variables = {
        "USE_CASE": use_case,
        "DATA_FOLDER": str(data_folder),
        "RUN_ID": "",
        "COMPOSE_PROFILES": "",  # no Grafana
        "CLOUD_ADDRESS": "127.0.0.1",
        "SERVE_ADDRESS": "127.0.0.1",
        "MLFLOW_ADDRESS": f"http://127.0.0.1:{SERVICES['mlflow'].port}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PREFECT_HOME": str(data_folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{SERVICES['prefect'].port}/api",
        "PREFECT_API_AUTH_STRING": prefect,
        "PREFECT_SERVER_API_AUTH_STRING": prefect,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
        "DRIFT_WINDOW_HOURS": "0",  # the demo's traffic lasts seconds
        "KINESIS_ADDRESS": emulator,
        "S3_ADDRESS": emulator,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": "",
        "AWS_DEFAULT_REGION": "us-east-1",
        "OMP_NUM_THREADS": "1",
        **signing_variables(ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    return {**os.environ, **variables}


def write_ahead(database: Path) -> None:
    """Turn on SQLite's write-ahead log in `database`: MLflow then logs a trial in six sevenths of the time."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with (
        closing(sqlite3.connect(database)) as connection,
        suppress(sqlite3.OperationalError),
    ):  # another process reads it
        connection.execute("PRAGMA journal_mode=WAL")  # the file keeps this setting


def started_services(use_case: str) -> set[str]:
    """Return the names of the services that the demo starts: the Procfile's, and what it starts in addition."""
    pages = {"web_service"} if use_case == "insurance" else set()
    prometheus = {"prometheus"} if shutil.which("prometheus") else set()
    return {*procfile(), *pages, *prometheus}


def procfile() -> dict[str, str]:
    """Return the commands of the Procfile by the names of their services."""
    return dict(re.findall(r"(?m)^([a-z_]+): (.+)$", PROCFILE.read_text()))


class Processes:
    """The demo's processes, each in a process group of its own; a watchdog ends them all when the demo is gone."""

    def __init__(self, env: Mapping[str, str], settings: Settings, logs: Path):
        """Start the watchdog."""
        self.logs = logs
        self._env = dict(env)
        self._settings = settings
        self._started: list[subprocess.Popen[bytes]] = []
        self._required: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)
        read_end, self._to_watchdog = os.pipe()
        self._watchdog = subprocess.Popen(
            [sys.executable, "-m", "demo.watchdog"], cwd=ROOT, stdin=read_end, start_new_session=True
        )
        os.close(read_end)

    def start_procfile(self) -> None:
        """Start the processes of the Procfile. The demo fails when one of them dies."""
        write_ahead(Path(self._env["DATA_FOLDER"]) / "mlflow.db")
        for name, command in procfile().items():
            self._required[name] = self._start(name, ["sh", "-c", command], self._env)

    def start(self, module: str, *arguments: str) -> None:
        """Start one more of the product's processes. The demo runs on when it ends."""
        self._start(module, [sys.executable, "-m", module, *arguments], self._env)

    def start_prometheus(self) -> None:
        """Start Prometheus with the product's targets and rules."""
        address = SERVICES["prometheus"].address(self._settings)
        folder = Path(self._env["DATA_FOLDER"]) / "prometheus"
        scraped = [service for service in SERVICES.values() if service.scraped]
        environ = {
            "PROMETHEUS_FOLDER": str(folder),
            "PROMETHEUS_TARGETS": " ".join(f"{s.name}=127.0.0.1:{s.port_in(self._settings)}" for s in scraped),
            "ALERTMANAGER_TARGET": f"127.0.0.1:{SERVICES['alertmanager'].port}",
        }
        command = [
            str(PROMETHEUS), f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address.removeprefix('http://')}", f"--web.external-url={address}",
            "--log.level=warn",
        ]  # fmt: skip
        self._start("prometheus", command, {**self._env, **environ})

    def run(self, module: str, *arguments: str, **variables: str) -> str:
        """Run one of the product's commands with more environment variables; return what it printed.

        Raises:
            DemoError: it failed. Its messages are on this terminal.
        """
        command = [sys.executable, "-m", module, *arguments]
        env = {**self._env, **variables}
        process = self._popen(command, env, subprocess.PIPE, None)
        output, _ = process.communicate()
        if process.returncode:
            raise DemoError(f"{module} failed with status {process.returncode}: see the message above")
        return output.decode().strip()

    def wait_for(self, service: Service, seconds: float = 300, ready: Callable[[], bool] | None = None) -> None:
        """Return once `service` is ready, or once `ready` returns True. Raises DemoError after `seconds`."""
        address = service.address(self._settings) + service.ready
        is_ready = ready or (lambda: _get_status(address) == 200)
        ends = time.monotonic() + seconds
        while not is_ready():
            self.check_alive()
            if time.monotonic() > ends:
                raise DemoError(
                    f"{service.name} is not ready after {seconds:.0f} s ({address}); {self._log_end(service.name)}"
                )
            time.sleep(0.1)

    def answers(self, service: Service) -> bool:
        """Return whether `service` answers at all, ready or not."""
        return _get_status(service.address(self._settings) + service.ready) is not None

    def check_alive(self) -> None:
        """Raise DemoError if a process of the Procfile died."""
        for name, process in self._required.items():
            if (status := process.poll()) is not None:
                raise DemoError(f"{name} exited with status {status}; {self._log_end(name)}")

    def stop(self) -> None:
        """End every process: the watchdog does it, as if the demo had died."""
        os.close(self._to_watchdog)
        for process in self._started:
            process.wait()
        self._watchdog.wait()

    def _start(self, name: str, command: list[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self._log(name).open("wb") as log:
            return self._popen(command, env, log, subprocess.STDOUT)

    def _popen(
        self, command: list[str], env: Mapping[str, str], stdout: int | BinaryIO, stderr: int | None
    ) -> subprocess.Popen[bytes]:
        """Start a process that reports itself to the watchdog first: the demo may be killed at any moment."""
        report = ["sh", "-c", 'echo $$ >&0; exec "$@" </dev/null', "sh"]
        process = subprocess.Popen(
            [*report, *command], cwd=ROOT, env=env, stdin=self._to_watchdog, stdout=stdout, stderr=stderr,
            start_new_session=True,
        )  # fmt: skip
        self._started.append(process)
        return process

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _log_end(self, name: str, lines: int = 25) -> str:
        log = self._log(name)
        return f"the end of {log}:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def require_free_ports(services: Iterable[Service], settings: Settings) -> None:
    """Raise DemoError if another process listens on a port of `services`."""
    for service in services:
        if _is_taken(port := service.port_in(settings)):
            raise DemoError(
                f"{service.name} needs port {port}, but it is already in use: "
                f"stop the process that listens there (`lsof -i :{port}` shows it)"
            )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _get_status(address: str) -> int | None:
    try:
        return requests.get(address, timeout=2).status_code
    except requests.RequestException:
        return None
