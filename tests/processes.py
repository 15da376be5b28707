"""The product's processes as a test starts, asks and kills them: `python -m …`, from outside."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).parents[1]
HOST = "127.0.0.1"
NOBODY = f"http://{HOST}:9"  # the discard port: nothing answers there
PYTHONPATH = f"{ROOT / 'src'}:{ROOT}"


def run(module: str, *arguments: str, seconds: float = 120, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m module` to its end."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": PYTHONPATH, **environ},
        capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], Any], seconds: float, what: str) -> Any:
    """Poll `true` until it returns something true, and return that; fail with `what` after `seconds`."""
    end = time.monotonic() + seconds
    while not (result := true()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)
    return result


def answers(address: str) -> bool:
    """Return whether `address` answers with a status below 400."""
    try:
        return requests.get(address, timeout=5).ok
    except requests.RequestException:
        return False


@dataclass
class Service:
    """One of the product's processes, in a process group of its own."""

    module: str
    environ: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start `python -m module`."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": PYTHONPATH, **self.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> int:
        """Kill the whole group with SIGKILL, so that nothing is finished, and return its exit status."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait(10)

    def stop(self, seconds: float = 15) -> int:
        """Send SIGTERM, kill what is left after `seconds`, and return the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.kill()

    def said(self) -> str:
        """Return its log so far."""
        return self.log.read_text(errors="replace")


@dataclass
class Scorer(Service):
    """A process that says at `url`/readyz whether it is ready: a scorer, the monitor, the insurance pages."""

    url: str = ""

    def wait_ready(self, seconds: float = 60) -> dict[str, Any]:
        """Return what /readyz says once it is ready."""
        ready: dict[str, Any] = until(self.ready, seconds, f"{self.module} is ready; its log:\n{self.said()}")
        return ready

    def ready(self) -> dict[str, Any] | None:
        """Return what /readyz says if it is ready now."""
        if self.process.poll() is not None:
            raise AssertionError(f"{self.module} ended with {self.process.returncode}:\n{self.said()}")
        try:
            answer = requests.get(f"{self.url}/readyz", timeout=5)
        except requests.ConnectionError:
            return None
        about: dict[str, Any] = answer.json()
        return about if answer.ok else None


def scorer(data_folder: Path, run_id: str, **environ: str) -> Scorer:
    """Return an HTTP scorer, not started, that serves `run_id` from the cache in `data_folder`, without MLflow."""
    return door("server.web", "SCORER_PORT", data_folder, {"RUN_ID": run_id, **environ})


def monitor(data_folder: Path, run_id: str, **environ: str) -> Scorer:
    """Return a monitor, not started, of the store in `data_folder`; its reference is that of `run_id`.

    Its window does not span time, because the traffic of a test lasts seconds.
    """
    own = {"RUN_ID": run_id, "DRIFT_WINDOW_HOURS": "0"}
    return door("monitoring.evidently_service", "MONITOR_PORT", data_folder, {**own, **environ})


def door(module: str, port_setting: str, data_folder: Path, environ: dict[str, str]) -> Scorer:
    """Return a process, not started, that listens on a free port and has no MLflow unless `environ` names one."""
    port = free_port()
    common = {
        "DATA_FOLDER": str(data_folder), "MLFLOW_ADDRESS": NOBODY, "MONGODB_ADDRESS": "", "USE_CASE": "churn",
        port_setting: str(port),
    }  # fmt: skip
    data_folder.mkdir(parents=True, exist_ok=True)
    log = data_folder / f"{module.rpartition('.')[2]}.log"
    return Scorer(module, {**common, **environ}, log, url=f"http://{HOST}:{port}")


def shipper(data_folder: Path, **environ: str) -> Service:
    """Return a shipper, not started, of the journal in `data_folder`."""
    port = str(free_port())
    own = {"DATA_FOLDER": str(data_folder), "MONGODB_ADDRESS": "", "SHIPPER_METRICS_PORT": port}
    return Service("server.shipper", {**own, **environ}, data_folder / "shipper.log")


@contextmanager
def started(*services: Service) -> Iterator[None]:
    """Start `services` and stop them all at the end."""
    try:
        for service in services:
            service.start()
        yield
    finally:
        for service in reversed(services):
            if hasattr(service, "process"):
                service.stop()


@contextmanager
def running(*services: Service) -> Iterator[None]:
    """Start `services`, wait until those with a readiness page are ready, and stop them all at the end."""
    with started(*services):
        for service in services:
            if isinstance(service, Scorer):
                service.wait_ready()
        yield
