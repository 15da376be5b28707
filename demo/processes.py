"""Starts and stops the demo's processes, and waits until they answer; their output is in one log."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path

import requests

from scorehouse.errors import ScorehouseError
from scorehouse.services import SERVICES, Service
from scorehouse.settings import Settings

ROOT = Path(__file__).parents[1]
PROCFILE = ROOT / "Procfile"
PROMETHEUS = ROOT / "monitoring" / "prometheus" / "start.sh"


class DemoError(ScorehouseError):
    """The demo cannot be started, or one of its processes died."""


def environment(data_folder: Path, use_case: str) -> dict[str, str]:
    """Return the environment of every process: the shell's, with all services on this machine."""
    emulator = f"http://127.0.0.1:{SERVICES['localstack'].port}"
    variables = {
        "USE_CASE": use_case,
        "DATA_FOLDER": str(data_folder),
        "RUN_ID": "",
        "CLOUD_ADDRESS": "127.0.0.1",
        "SERVE_ADDRESS": "127.0.0.1",
        "MLFLOW_ADDRESS": f"http://127.0.0.1:{SERVICES['mlflow'].port}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PREFECT_HOME": str(data_folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{SERVICES['prefect'].port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
        "KINESIS_ADDRESS": emulator,
        "S3_ADDRESS": emulator,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": "",
        "AWS_DEFAULT_REGION": "us-east-1",
        "OMP_NUM_THREADS": "1",
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
    """Return the names of the services that the demo starts: the Procfile's, and what it starts beside them."""
    pages = {"web_service"} if use_case == "insurance" else set()
    prometheus = {"prometheus"} if shutil.which("prometheus") else set()
    return {*re.findall(r"(?m)^([a-z_]+):", PROCFILE.read_text()), *pages, *prometheus}


class Processes:
    """The demo's processes, each in a process group of its own; a watchdog ends them all when the demo is gone."""

    def __init__(self, env: Mapping[str, str], settings: Settings, log: Path):
        """Start the watchdog."""
        self.log = log
        self._env = dict(env)
        self._settings = settings
        self._started: list[subprocess.Popen[bytes]] = []
        self._honcho: subprocess.Popen[bytes] | None = None
        log.parent.mkdir(parents=True, exist_ok=True)
        self._file = log.open("w")
        read_end, write_end = os.pipe()
        self._to_watchdog = os.fdopen(write_end, "w")
        self._watchdog = subprocess.Popen(
            [sys.executable, "-m", "demo.watchdog"], cwd=ROOT, stdin=read_end, start_new_session=True
        )
        os.close(read_end)

    def start_procfile(self) -> None:
        """Start the processes of the Procfile: honcho ends them all when one dies."""
        write_ahead(Path(self._env["DATA_FOLDER"]) / "mlflow.db")
        # without -e, honcho would read .env and override this environment
        command = [sys.executable, "-m", "honcho", "-e", os.devnull, "-f", str(PROCFILE), "start", "--no-colour"]
        self._honcho = self._start(command, self._env)

    def start(self, module: str, *arguments: str) -> None:
        """Start one more of the product's processes. The others run on when it ends."""
        self._start([sys.executable, "-m", module, *arguments], self._env)

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
        self._start(command, {**self._env, **environ})

    def run(self, module: str, *arguments: str, **variables: str) -> str:
        """Run one of the product's commands with more environment variables; return what it printed.

        Raises:
            DemoError: it failed. Its messages are on this terminal.
        """
        command = [sys.executable, "-m", module, *arguments]
        env = {**self._env, **variables}
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, start_new_session=True)
        self._watch(process)
        output, _ = process.communicate()
        if process.returncode:
            raise DemoError(f"{module} failed with status {process.returncode}: see above")
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
                    f"{service.name} is not ready after {seconds:.0f} s ({address}); "
                    f"the end of {self.log}:\n{self._tail()}"
                )
            time.sleep(0.1)

    def answers(self, service: Service) -> bool:
        """Return whether `service` answers at all, ready or not."""
        return _get_status(service.address(self._settings) + service.ready) is not None

    def check_alive(self) -> None:
        """Raise DemoError if a process of the Procfile died."""
        if self._honcho is not None and self._honcho.poll() is not None:
            raise DemoError(f"a process of the demo died; the end of {self.log}:\n{self._tail()}")

    def stop(self) -> None:
        """End every process: the watchdog does it, as if the demo had died."""
        self._to_watchdog.close()
        for process in self._started:
            process.wait()
        self._watchdog.wait()
        self._file.close()

    def _start(self, command: list[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=self._file, stderr=subprocess.STDOUT, start_new_session=True
        )
        self._watch(process)
        return process

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        self._started.append(process)
        self._to_watchdog.write(f"{process.pid}\n")
        self._to_watchdog.flush()

    def _tail(self, lines: int = 25) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def require_free_ports(services: Iterable[Service], settings: Settings) -> None:
    """Raise DemoError if another process listens on a port of `services`."""
    for service in services:
        if _is_taken(port := service.port_in(settings)):
            raise DemoError(
                f"port {port} is taken, but {service.name} needs it: "
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
