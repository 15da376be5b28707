"""Two Kinesis engines for tests and benchmarks; `python -m tests.engines` installs them, as their first use does.

They are kept in var/engines. ministack is fast, but deletes the parents of a split shard. kinesis-local reshards as
AWS does, but it is slow and needs npm. Each test gets its own process on its own port.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.processes import HOST, ROOT, free_port, until
from tests.servers import Server

FOLDER = ROOT / "var" / "engines"
MINISTACK, KINESIS_LOCAL, AXE_CORE = "ministack==1.5.33", "kinesis-local@0.6.2", "axe-core@4.10.3"
REGION = "us-east-1"


class Engine(Server):
    """A Kinesis engine. Started again on the same folder, it still has what it stored there."""

    def client(self) -> Any:
        """Return a client of this engine, which takes any credentials."""
        config = Config(
            parameter_validation=False,  # a third of the time of a large put
            retries={"mode": "standard", "total_max_attempts": 3},
            connect_timeout=3,
            read_timeout=10,
        )
        return boto3.client(
            "kinesis", REGION, endpoint_url=self.address, config=config,
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it answers."""
        super().start()
        until(self._answers, 60, "the engine answers")

    def kill(self) -> None:
        """Kill it at once, so that it stores nothing."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def _answers(self) -> bool:
        try:
            self.client().list_streams()
        except (BotoCoreError, ClientError):
            return False
        return True


def ministack(folder: Path) -> Engine:
    """Return a ministack, not started; on SIGTERM it stores its streams in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    environ = {"BIND_HOST": HOST, "GATEWAY_PORT": str(port), "PERSIST_STATE": "1", "STATE_DIR": str(folder / "state")}
    command = [str(install_ministack() / "bin" / "ministack")]
    return Engine(command, f"http://{HOST}:{port}", folder / "ministack.log", environ)


def kinesis_local(folder: Path, keep: bool = False) -> Engine:
    """Return a kinesis-local, not started; with `keep` it stores its streams in `folder` every second."""
    (folder / "state").mkdir(parents=True, exist_ok=True)
    port, package = free_port(), install_kinesis_local()
    environ = {
        "KINESIS_MOCK_PLAIN_PORT": str(port),
        "KINESIS_MOCK_TLS_PORT": str(free_port()),
        "KINESIS_MOCK_CERT_PATH": str(package / "server.json"),
        "SHOULD_PERSIST_DATA": str(keep).lower(),  # it writes everything each time: slow
        "PERSIST_PATH": str(folder / "state"),
        "PERSIST_INTERVAL": "1s",
    }
    command = ["node", str(package / "main.js")]
    return Engine(command, f"http://{HOST}:{port}", folder / "kinesis-local.log", environ)


def install_ministack() -> Path:
    """Return the environment that holds ministack; it is made where it is missing."""
    place = FOLDER / "ministack"
    with installing(place, MINISTACK) as needed:
        if needed:
            run([sys.executable, "-m", "venv", str(place)])
            run([str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", MINISTACK])
    return place


def install_kinesis_local() -> Path:
    """Return the package folder of kinesis-local; it is installed where it is missing."""
    return _npm_package(KINESIS_LOCAL)


def axe_core() -> str:
    """Return the script of axe-core, which finds accessibility faults of a page; it is fetched where it is missing."""
    return (_npm_package(AXE_CORE) / "axe.min.js").read_text()


def _npm_package(package: str) -> Path:
    """Return the folder of an npm package, given as name@version."""
    name = package.partition("@")[0]
    place = FOLDER / name
    with installing(place, package) as needed:
        if needed:
            if shutil.which("npm") is None:
                raise RuntimeError(f"{name} needs npm: run `make packages`, or install Node.js 20 or later")
            run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(place), package])
    return place / "node_modules" / name


@contextmanager
def installing(place: Path, what: str) -> Iterator[bool]:
    """Yield whether `what` must be installed into `place`, which is empty then; one process at a time."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    mark = place / "installed"
    with (FOLDER / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        needed = not mark.exists() or mark.read_text() != what
        if needed:
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
        yield needed
        mark.write_text(what)


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=300, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    install_ministack()
    install_kinesis_local()
    axe_core()
