"""The whole stack without Docker: MLflow, a stream, every door, the commands of a person, and a load on the doors."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from threading import Event, Thread, local
from typing import Any

import orjson
import requests

from tests import engines, processes, servers
from tests.engines import Engine
from tests.processes import Scorer, Service, answers, until
from tests.registered import Mlflow
from tests.streams import INPUT, running_with_streams, stream_scorer

CLIENTS = 8  # connections that send HTTP requests


@dataclass
class RunningStack:
    """The processes that share one DATA_FOLDER, and the commands that a person runs."""

    folder: Path
    mlflow: Mlflow
    engine: Engine
    scorer: Scorer
    stream: Scorer
    shipper: Service
    monitor: Scorer

    @property
    def doors(self) -> list[str]:
        """The doors' addresses."""
        return [self.scorer.url, self.stream.url, self.monitor.url]

    def command(self, module: str, *arguments: str, seconds: float = 120, **environ: str) -> CompletedProcess[str]:
        """Run one of the product's commands to its end."""
        own = {
            "USE_CASE": "churn", "CHANGED_BY": "a test", "DATA_FOLDER": str(self.folder / "host"),
            "MLFLOW_ADDRESS": self.mlflow.address, "DOORS": ", ".join(self.doors), "RUN_ID": "", "WHY": "",
        }  # fmt: skip
        return processes.run(module, *arguments, seconds=seconds, **{**own, **environ})

    def deploy(self, run_id: str, **environ: str) -> CompletedProcess[str]:
        """Do what `make start-serve` does once the doors run."""
        return self.command("server.deploy", RUN_ID=run_id, **environ)

    def served(self) -> set[str | None]:
        """Return the runs that the doors say they serve."""
        return {requests.get(f"{door}/readyz", timeout=5).json().get("model_run_id") for door in self.doors}


@contextmanager
def running(folder: Path, shards: int = 1, workers: int = 1) -> Iterator[RunningStack]:
    """Start MLflow, a Kinesis engine, every door, the shipper and the monitor, before any run is deployed."""
    engine = engines.ministack(folder / "engine")
    with servers.mlflow(folder / "mlflow").running() as mlflow, running_with_streams(engine, shards):
        data, address = folder / "data", {"MLFLOW_ADDRESS": mlflow.address}
        scorer = processes.scorer(data, "", SCORER_WORKERS=str(workers), **address)
        stream = stream_scorer(data, "", engine.address, **address)
        monitor = processes.monitor(data, "", **address)
        shipper = processes.shipper(data)
        with processes.started(scorer, stream, shipper, monitor):
            for door in (scorer, stream, monitor):
                until(partial(alive, door), 60, f"{door.module} listens")
            yield RunningStack(data, Mlflow(mlflow.address), engine, scorer, stream, shipper, monitor)


def alive(door: Scorer) -> bool:
    assert door.process.poll() is None, door.said()
    return answers(f"{door.url}/healthz")


@dataclass
class Load:
    """Sends requests and stream records at a steady rate, and keeps every answer as (record's number, answer)."""

    stack: RunningStack
    records: list[dict[str, Any]]
    rate: int
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    put: list[int] = field(default_factory=list)  # numbers of the stream records; their ids are s0, s1, …

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send until the block ends, and wait for the answers to what was sent."""
        stop, sessions = Event(), local()

        def post(number: int) -> None:
            session = sessions.__dict__.setdefault("session", requests.Session())
            try:
                reply = session.post(f"{self.stack.scorer.url}/predict", json=self.records[number], timeout=20)
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
            client = self.stack.engine.client()
            for i in paced(10, stop):
                size = self.rate // 10
                numbers = [(i * size + k) % len(self.records) for k in range(size)]
                entries = []
                for k, number in enumerate(numbers, len(self.put)):
                    data = orjson.dumps({**self.records[number], "prediction_id": f"s{k}"})
                    entries.append({"Data": data, "PartitionKey": f"k{k % 50}"})
                assert not client.put_records(StreamName=INPUT, Records=entries)["FailedRecordCount"]
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
    """Count up at `rate` a second until `stop` is set, and catch up after a late step."""
    began = time.monotonic()
    count = 0
    while not stop.wait(max(0.0, began + count / rate - time.monotonic())):
        yield count
        count += 1
