"""A small real model, trained by the product's own path, and a real scorer that serves it from its cache."""

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
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import requests

from scorehouse.bundles import bundle
from scorehouse.usecase import UseCase, load_use_case

if TYPE_CHECKING:  # training takes seconds to import, and most tests need none
    from model_orchestration.tables.training_table import TrainingTable
    from model_orchestration.training.training import Trained, Training

ROOT = Path(__file__).parents[1]
RUN_ID, OTHER_RUN_ID = "a" * 32, "b" * 32
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Toy:
    """A trained model and its bundle on disk: never write into `folder`, copy it (`toy.cache_in`)."""

    use_case: UseCase
    training: Training
    trained: Trained
    folder: Path
    digest: str

    def bundle(self) -> bundle.Bundle:
        """Return the bundle, verified."""
        return bundle.load(self.folder, self.digest)


def train(folder: Path, run_id: str = RUN_ID, use_case: str = "churn", rows: int = 800, trials: int = 2) -> Toy:
    """Train on sample rows and write the bundle of `run_id` into `folder`: what the flow does, without MLflow."""
    from model_orchestration.training.bundling import write_bundle
    from model_orchestration.training.training import Training

    case = load_use_case(use_case)
    training = Training(case, table(case, rows))
    trained = training.retrain(training.best(list(training.search(trials)), 1)[0])
    digest = write_bundle(folder, run_id, training, trained, "0" * 40, datetime(2026, 1, 1, tzinfo=UTC))
    return Toy(case, training, trained, folder, digest)


def records(use_case: UseCase, count: int, seed: int = 7, drift: float = 0.0) -> list[dict[str, Any]]:
    """Return `count` valid records of the use case's own sample."""
    return table(use_case, count, seed, drift).records


def table(use_case: UseCase, rows: int, seed: int = 1, drift: float = 0.0) -> TrainingTable:
    """Return a checked table of the use case's own sample."""
    import pandas as pd

    from model_orchestration.tables.training_table import prepare

    return prepare(pd.DataFrame(use_case.sample(rows, seed, drift)), use_case)


def cache_in(data_folder: Path, toy: Toy, alias: str | None = None) -> str:
    """Put the toy's bundle into a door's cache as if it had been fetched; return the RUN_ID that serves it."""
    run_id, bundles = toy.bundle().manifest.run_id, data_folder / "bundles"
    (bundles / run_id).mkdir(parents=True, exist_ok=True)
    for file in toy.folder.iterdir():
        (bundles / run_id / file.name).write_bytes(file.read_bytes())
    pointer = orjson.dumps({"number": "1", "run_id": run_id, "digest": toy.digest})
    for name in filter(None, (run_id, alias)):
        (bundles / f"{toy.use_case.name}.{name}.json").write_bytes(pointer)
    return run_id


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], Any], seconds: float, what: str) -> Any:
    """Return what `true` returns once it is true; fail, naming `what`, when it is not within `seconds`."""
    end = time.monotonic() + seconds
    while not (found := true()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)
    return found


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
                env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", **self.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> int:
        """Kill the whole group at once, as the kernel would (nothing is finished), and return its exit status."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait(10)

    def stop(self, seconds: float = 15) -> int:
        """End it by SIGTERM, kill what is left after `seconds`, and return its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.kill()

    def said(self) -> str:
        """Return what it wrote so far."""
        return self.log.read_text(errors="replace")


@dataclass
class Scorer(Service):
    """The HTTP door at `url`."""

    url: str = ""

    def wait_ready(self, seconds: float = 60) -> dict[str, Any]:
        """Return what /readyz says once it is ready."""
        ready: dict[str, Any] = until(self.ready, seconds, f"the scorer is ready; it said:\n{self.said()}")
        return ready

    def ready(self) -> dict[str, Any] | None:
        """Return what /readyz says if it is ready now."""
        if self.process.poll() is not None:
            raise AssertionError(f"the scorer ended with {self.process.returncode}:\n{self.said()}")
        try:
            answer = requests.get(f"{self.url}/readyz", timeout=5)
        except requests.ConnectionError:
            return None
        about: dict[str, Any] = answer.json()
        return about if answer.ok else None


def scorer(data_folder: Path, run_id: str, **environ: str) -> Scorer:
    """Return a scorer, not started: it serves `run_id` from the cache in `data_folder`, with no MLflow to ask."""
    port = free_port()
    given = {
        "DATA_FOLDER": str(data_folder),
        "RUN_ID": run_id,
        "SCORER_PORT": str(port),
        "MLFLOW_ADDRESS": f"http://{HOST}:9",  # the discard port: nobody answers
        "MONGODB_ADDRESS": "",
        "USE_CASE": "churn",
        **environ,
    }
    data_folder.mkdir(parents=True, exist_ok=True)
    return Scorer("server.web", given, data_folder / "scorer.log", url=f"http://{HOST}:{port}")


def shipper(data_folder: Path, **environ: str) -> Service:
    """Return a shipper that is not started, for the journal in `data_folder`."""
    port = str(free_port())
    given = {"DATA_FOLDER": str(data_folder), "MONGODB_ADDRESS": "", "SHIPPER_METRICS_PORT": port, **environ}
    return Service("server.shipper", given, data_folder / "shipper.log")


@contextmanager
def running(*services: Service) -> Iterator[None]:
    """Start `services`, wait until the scorers among them are ready, and stop them all in the end."""
    try:
        for service in services:
            service.start()
        for service in services:
            if isinstance(service, Scorer):
                service.wait_ready()
        yield
    finally:
        for service in reversed(services):
            if hasattr(service, "process"):
                service.stop()
