"""The Docker-free house that deployment tests change under load: MLflow, a stream, every door, and what they answer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread, local
from typing import Any

import orjson
import requests

from tests import toy as toys
from tests.engines import Engine
from tests.registered import Mlflow
from tests.streams import INPUT, stream_scorer
from tests.toy import HOST, ROOT, Scorer, Service, free_port

CLIENTS = 8  # connections over which HTTP requests are sent


@dataclass
class House:
    """The processes that share one DATA_FOLDER, and the commands that a person gives."""

    folder: Path
    mlflow: Mlflow
    scorer: Scorer
    stream: Scorer
    shipper: Service
    monitor: Scorer

    @property
    def doors(self) -> list[str]:
        """Where the doors are asked."""
        return [self.scorer.url, self.stream.url, self.monitor.url]

    def command(self, module: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run one of the product's commands to its end."""
        given = {
            **os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "USE_CASE": "churn", "CHANGED_BY": "a test",
            "DATA_FOLDER": str(self.folder / "host"), "MLFLOW_ADDRESS": self.mlflow.address,
            "DOORS": ", ".join(self.doors), "RUN_ID": "", "WHY": "", **environ,
        }  # fmt: skip
        return subprocess.run(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def deploy(self, run_id: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Do what `make start-serve` does once the doors run."""
        return self.command("server.deploy", RUN_ID=run_id, **environ)

    def served(self) -> set[str | None]:
        """The runs that the doors say they serve."""
        return {requests.get(f"{door}/readyz", timeout=5).json().get("model_run_id") for door in self.doors}


@contextmanager
def running(folder: Path, mlflow: Mlflow, engine: Engine, workers: int = 1) -> Iterator[House]:
    """Start every door and the shipper in `folder`, before any run is deployed."""
    more = {"MLFLOW_ADDRESS": mlflow.address}
    scorer = toys.scorer(folder, "", SCORER_WORKERS=str(workers), **more)
    stream = stream_scorer(folder, "", engine.address, **more)
    port = str(free_port())
    monitor = Scorer(
        "monitoring.evidently_service",
        {"DATA_FOLDER": str(folder), "MONITOR_PORT": port, "MONGODB_ADDRESS": "", "USE_CASE": "churn", **more},
        folder / "monitor.log",
        url=f"http://{HOST}:{port}",
    )
    shipper = toys.shipper(folder)
    services = (scorer, stream, shipper, monitor)
    try:
        for service in services:
            service.start()
        for door in (scorer, stream, monitor):
            toys.until(lambda door=door: alive(door), 60, f"{door.module} listens")  # type: ignore[misc]
        yield House(folder, mlflow, scorer, stream, shipper, monitor)
    finally:
        for service in reversed(services):
            if hasattr(service, "process"):
                service.stop()


def alive(door: Scorer) -> bool:
    assert door.process.poll() is None, door.said()
    try:
        return requests.get(f"{door.url}/healthz", timeout=5).ok
    except requests.RequestException:
        return False


@dataclass
class Load:
    """Requests and stream records at a steady rate; every answer is kept: (record's number, answer)."""

    house: House
    client: Any  # of the stream
    records: list[dict[str, Any]]
    rate: int
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    put: list[int] = field(default_factory=list)  # numbers of stream records; their ids are s<place>

    @contextmanager
    def sent(self) -> Iterator[None]:
        """Send until the block is left, and let what is under way be answered."""
        stop, sessions = Event(), local()

        def post(number: int) -> None:
            session = sessions.__dict__.setdefault("session", requests.Session())
            try:
                reply = session.post(f"{self.house.scorer.url}/predict", json=self.records[number], timeout=20)
            except requests.RequestException as error:
                self.failed[type(error).__name__] += 1
                return
            if reply.ok:
                self.answers.append((number, reply.json()))
            else:
                self.failed[f"{reply.status_code} {reply.text[:200]}"] += 1

        def over_http() -> None:
            with ThreadPoolExecutor(CLIENTS) as pool:
                for i in paced(self.rate, stop):
                    pool.submit(post, i % len(self.records))

        def over_stream() -> None:
            for i in paced(10, stop):
                size = self.rate // 10
                numbers = [(i * size + k) % len(self.records) for k in range(size)]
                entries = []
                for k, number in enumerate(numbers, len(self.put)):
                    data = orjson.dumps({**self.records[number], "prediction_id": f"s{k}"})
                    entries.append({"Data": data, "PartitionKey": f"k{k % 50}"})
                assert not self.client.put_records(StreamName=INPUT, Records=entries)["FailedRecordCount"]
                self.put += numbers

        threads = [Thread(target=over_http), Thread(target=over_stream)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def paced(rate: int, stop: Event) -> Iterator[int]:
    """Count up at `rate` a second until `stop` is set, catching up where a step came late."""
    began, count = time.monotonic(), 0
    while not stop.wait(max(0.0, began + count / rate - time.monotonic())):
        yield count
        count += 1
