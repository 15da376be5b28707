"""Two Kinesis engines for tests and benchmarks; `python -m tests.engines` installs them, as their first use does.

They are kept in var/engines. ministack is quick, but deletes the parents of a split; kinesis-local reshards as AWS
does, but is slow, and needs npm. Each test gets its own process on its own port.
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

from botocore.exceptions import BotoCoreError, ClientError

from server.stream.client import kinesis_client
from tests.servers import Server
from tests.toy import HOST, ROOT, free_port, until

FOLDER = ROOT / "var" / "engines"
MINISTACK, KINESIS_LOCAL, AXE_CORE = "ministack==1.5.33", "kinesis-local@0.6.2", "axe-core@4.10.3"
REGION = "us-east-1"


class Engine(Server):
    """A Kinesis engine; started again on the same folder it comes back with what it kept."""

    def client(self) -> Any:
        """Return a client of it."""
        return kinesis_client(self.address, REGION)

    def start(self) -> None:
        """Start it and wait until it answers."""
        super().start()
        until(self._answers, 60, "the engine answers")

    def kill(self) -> None:
        """Kill it at once: it keeps nothing."""
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
    """Return a ministack that is not started; SIGTERM makes it keep its streams in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    environ = {"BIND_HOST": HOST, "GATEWAY_PORT": str(port), "PERSIST_STATE": "1", "STATE_DIR": str(folder / "state")}
    command = [str(install_ministack() / "bin" / "ministack")]
    return Engine(command, f"http://{HOST}:{port}", folder / "ministack.log", environ)


def kinesis_local(folder: Path, keep: bool = False) -> Engine:
    """Return a kinesis-local that is not started; every second it keeps its streams in `folder`, where it should."""
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
    """Return the environment that holds ministack, made where it is missing."""
    place = FOLDER / "ministack"
    with installing(place, MINISTACK) as needed:
        if needed:
            run([sys.executable, "-m", "venv", str(place)])
            run([str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", MINISTACK])
    return place


def install_kinesis_local() -> Path:
    """Return the package folder of kinesis-local, installed where it is missing."""
    place = FOLDER / "kinesis-local"
    with installing(place, KINESIS_LOCAL) as needed:
        if needed:
            if shutil.which("npm") is None:
                raise RuntimeError("kinesis-local needs npm: run `make packages`, or install Node.js 20 or later")
            run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(place), KINESIS_LOCAL])
    return place / "node_modules" / "kinesis-local"


def axe_core() -> str:
    """Return the script of axe-core, which finds what is not accessible in a page; fetched where it is missing."""
    place = FOLDER / "axe-core"
    with installing(place, AXE_CORE) as needed:
        if needed:
            if shutil.which("npm") is None:
                raise RuntimeError("axe-core needs npm: run `make packages`, or install Node.js 20 or later")
            run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(place), AXE_CORE])
    return (place / "node_modules" / "axe-core" / "axe.min.js").read_text()


@contextmanager
def installing(place: Path, what: str) -> Iterator[bool]:
    """Say whether `what` must be installed into `place`, which is empty then; one process at a time."""
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
