"""The real servers that tests talk to, each on a free port and with a fresh folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.processes import HOST, ROOT, answers, free_port, until

MONGOD = ROOT / "tests" / "mongod" / "mongod"
BUILD_SECONDS, START_SECONDS = 600, 120


class Server:
    """A server process that can be stopped and started again on the same port and data."""

    def __init__(
        self, command: list[str], address: str, log: Path, environ: dict[str, str] | None = None, health: str = ""
    ):
        """Keep what starts it; `health` is a path that answers 200 once an HTTP server is ready."""
        self.command = command
        self.address = address
        self.log = log
        self.environ = environ or {}
        self.health = health
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self.address.rpartition(":")[2])

    def start(self) -> None:
        """Start it, and wait until it takes connections and is healthy."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env={**os.environ, **self.environ}, cwd=self.log.parent,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until(self.listens, START_SECONDS, f"{self.command[0]} listens; its log is {self.log}")
        if self.health:
            until(lambda: answers(f"{self.address}{self.health}"), START_SECONDS, f"{self.address} is healthy")

    def listens(self) -> bool:
        """Return whether the port takes connections."""
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"{self.command[0]} ended:\n{self.log.read_text(errors='replace')[-3000:]}")
        with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
            return True
        return False

    def stop(self) -> None:
        """Stop it, and kill what is left of its process group."""
        if self.process is None:
            return
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self.process = None

    @contextmanager
    def stopped_for_a_while(self) -> Iterator[None]:
        """Let it do nothing meanwhile: connections are taken by the kernel, and no request is answered.

        SIGSTOP alone returns before the process has stopped: one thread takes the signal, and until it runs, which on
        a busy machine may take a while, the others go on and answer.
        """
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            os.waitpid(self.process.pid, os.WUNTRACED)  # reported once all threads have stopped
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    @contextmanager
    def running(self) -> Iterator[Server]:
        """Start it, and stop it at the end."""
        try:
            self.start()
            yield self
        finally:
            self.stop()


def mongod(folder: Path) -> Server:
    """Return a MongoDB server, not started: the one on PATH, or the replacement of this checkout."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    data = str(folder / "data")
    log = folder / "mongod.log"
    (folder / "data").mkdir(exist_ok=True)
    if own := shutil.which("mongod"):
        command = [own, "--bind_ip", HOST, "--port", str(port), "--dbpath", data]
    else:
        built = subprocess.run([MONGOD, "--build"], capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
        assert built.returncode == 0, (
            f"there is no mongod on PATH, and {MONGOD} cannot be built; install MongoDB, or set MONGODB_TEST_ADDRESS "
            f"to the mongodb:// address of a server that may be written to:\n{built.stderr[-3000:]}"
        )
        command = [str(MONGOD), "-listen", f"{HOST}:{port}", "-data", data]
    return Server(command, f"mongodb://{HOST}:{port}", log)


def mlflow(folder: Path) -> Server:
    """Return an MLflow server, not started."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--serve-artifacts",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return Server(command, f"http://{HOST}:{port}", folder / "mlflow.log", quiet, health="/health")


def prefect(folder: Path) -> Server:
    """Return a Prefect server, not started; its clients need PREFECT_API_URL=<address>/api."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port), "--no-ui"]
    own = {"PREFECT_HOME": str(folder), "PREFECT_API_URL": "", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    return Server(command, f"http://{HOST}:{port}", folder / "prefect.log", own, health="/api/health")
