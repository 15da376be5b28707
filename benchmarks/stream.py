"""`make bench-stream`: the durable stream scorer beside a bare loop of reads and puts, and beside single records."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import requests
from rich.console import Console
from rich.progress import track
from rich.table import Table

from scorehouse.journal.journal import Journal
from scorehouse.serving.serving import Model, Serving
from scorehouse.streams.publisher import MOST_ENTRIES, Publisher
from scorehouse.usecase import UseCase
from server.stream.checkpoints import Checkpoints
from server.stream.client import kinesis_client
from server.stream.heap import keep_heap
from server.stream.heartbeat import Heartbeat
from server.stream.scorer import StreamScorer
from server.stream.shards import Shards
from server.stream.source import MOST_RECORDS, ShardBatch, Source
from tests import engines, toy
from tests.engines import REGION, Engine
from tests.processes import running, until
from tests.streams import ERRORS, INPUT, RESULTS, create_streams, stream_scorer
from tests.toy import Toy

SHARDS = 2
LEAST_OF_BARE, LEAST_OF_SINGLE, MOST_GROWTH = 0.8, 30.0, 0.10
ANSWER = orjson.dumps(
    {"churn chance": 0.1234567890123456, "model_run_id": "a" * 32, "prediction_id": f"shardId-{0:012}:{0:056}"}
)
console = Console()


@dataclass
class Setting:
    """What a run gets: a fresh engine with records, a folder, the loaded model."""

    client: Any
    count: int
    folder: Path
    serving: Serving
    use_case: UseCase


def fill(client: Any, count: int, records: list[dict[str, Any]]) -> None:
    """Put `count` records, 500 at a time."""
    for first in range(0, count, MOST_ENTRIES):
        chosen = [(i, records[i % len(records)]) for i in range(first, min(first + MOST_ENTRIES, count))]
        entries = [{"Data": orjson.dumps(record), "PartitionKey": f"customer {i}"} for i, record in chosen]
        assert not client.put_records(StreamName=INPUT, Records=entries)["FailedRecordCount"]


def batches(client: Any, count: int) -> Iterator[list[dict[str, Any]]]:
    """Read `count` records, a batch of each shard in turn."""
    shards = [shard["ShardId"] for shard in client.list_shards(StreamName=INPUT)["Shards"]]
    where = {"StreamName": INPUT, "ShardIteratorType": "TRIM_HORIZON"}
    iterators = [client.get_shard_iterator(ShardId=shard, **where)["ShardIterator"] for shard in shards]
    while count > 0:
        for i, iterator in enumerate(iterators):
            answer = client.get_records(ShardIterator=iterator, Limit=MOST_RECORDS)
            iterators[i] = answer["NextShardIterator"]
            count -= len(answer["Records"])
            yield answer["Records"]


def bare(setting: Setting) -> None:
    """Call get_records and put_records with the scorer's own sizes, and do nothing in between."""
    for batch in batches(setting.client, setting.count):
        for first in range(0, len(batch), MOST_ENTRIES):
            chunk = batch[first : first + MOST_ENTRIES]
            entries = [{"Data": ANSWER, "PartitionKey": record["PartitionKey"]} for record in chunk]
            setting.client.put_records(StreamName=RESULTS, Records=entries)


def single(setting: Setting) -> None:
    """Score, journal and put one record at a time."""
    serving = setting.serving
    for batch in batches(setting.client, setting.count):
        for record in batch:
            (answer,) = serving.answer([orjson.loads(record["Data"])], [record["SequenceNumber"]])
            data = orjson.dumps(answer.to_json(setting.use_case.answer))
            setting.client.put_record(StreamName=RESULTS, Data=data, PartitionKey=record["PartitionKey"])


class CountedSource(Source):
    """Stops the heartbeat, and so the scorer, once a number of records was read and scored."""

    def count_down(self, left: int, heartbeat: Heartbeat) -> CountedSource:
        """Stop `heartbeat` after `left` records."""
        self._left = left
        self._heartbeat = heartbeat
        return self

    def done(self, batch: ShardBatch) -> None:
        """Count the batch's records."""
        super().done(batch)
        self._left -= len(batch.records)
        if self._left <= 0:
            self._heartbeat.stop()


def scorer(setting: Setting) -> None:
    """Run the stream scorer as it is, until its last checkpoint."""
    client = setting.client
    clock = time.monotonic
    heartbeat = Heartbeat(setting.folder / "alive")
    checkpoints = Checkpoints(setting.folder / "predictions.db")
    shards = Shards(client, INPUT, checkpoints, clock, lambda: 0.0)
    source = CountedSource(client, INPUT, shards, clock, lambda: 0.0).count_down(setting.count, heartbeat)
    publisher = Publisher(client, heartbeat.pause, lambda: 0.0)
    streams = (INPUT, RESULTS, ERRORS)
    StreamScorer(setting.use_case, setting.serving, source, publisher, checkpoints, streams, heartbeat, clock).run()
    checkpoints.close()


def served(folder: Path, model: Toy) -> Serving:
    """Return the model, loaded, behind a real journal."""
    serving = Serving("churn", "stream", Journal(folder / "journal", "stream"))
    bundle = model.bundle()
    serving.model = Model(bundle, bundle.scorer(model.use_case))
    return serving


@dataclass
class Contender:
    """A loop, and the records a second of each round."""

    run: Callable[[Setting], None]
    rates: list[float] = field(default_factory=list)

    def measure(self, make: Callable[[Path], Engine], count: int, model: Toy) -> None:
        """Run once on a fresh engine."""
        with fresh(make) as (engine, folder):
            client = kinesis_client(engine.address, REGION)
            fill(client, count, toy.records(model.use_case, 500))
            setting = Setting(client, count, folder, served(folder, model), model.use_case)
            began = time.perf_counter()
            self.run(setting)
            self.rates.append(count / (time.perf_counter() - began))


@contextmanager
def fresh(make: Callable[[Path], Engine]) -> Iterator[tuple[Engine, Path]]:
    """Yield a new engine with the three streams, and an empty folder."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        engine = make(folder / "engine")
        try:
            engine.start()
            create_streams(engine.client(), SHARDS)
            yield engine, folder
        finally:
            engine.kill()


def memory(count: int, model: Toy) -> dict[int, float]:
    """Return the scorer's megabytes by the number of records that it has scored, up to `count`."""
    used: dict[int, float] = {}
    with fresh(engines.ministack) as (engine, folder):
        process = stream_scorer(folder / "data", toy.cache_in(folder / "data", model), engine.address)
        records, client = toy.records(model.use_case, 500), engine.client()
        with running(process):
            marks = sorted({10_000, *range(50_000, count + 1, 50_000), count})
            for before, mark in track(list(zip([0, *marks], marks, strict=False)), "memory", console=console):
                for first in range(before, mark, 10_000):
                    fill(client, min(10_000, mark - first), records)
                until(lambda mark=mark: published(process.url) >= mark, 600, f"{mark} records")  # type: ignore[misc]
                used[mark] = megabytes(process.process.pid)
    return used


def published(url: str) -> float:
    """Return how many entries were published to the results stream."""
    name = f'scorehouse_stream_records_out_total{{stream="{RESULTS}"}}'
    text = requests.get(f"{url}/metrics", timeout=10).text
    return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name)), 0.0)


def megabytes(pid: int) -> float:
    """Return a process's resident memory."""
    printed = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(printed.stdout) / 1024


def ratio(one: Contender, other: Contender) -> float:
    """Return the median of the rounds' ratios, because both loops of a round see the same noise."""
    return statistics.median(a / b for a, b in zip(one.rates, other.rates, strict=True))


def race(name: str, make: Callable[[Path], Engine], loops: list[Any], count: int, rounds: int, model: Toy) -> list[Any]:
    """Measure `loops` in turn, `rounds` times, in another order each time; print and return them."""
    contenders = [Contender(loop) for loop in loops]
    for n in track(range(rounds), name, console=console):
        for i in range(len(contenders)):  # in turn, so that a slow minute affects all of them
            contenders[(i + n) % len(contenders)].measure(make, count, model)
    table = Table("loop", "records a second", "rounds", "x bare", title=f"{name}, {count:,} records, {SHARDS} shards")
    for one in contenders:
        rates = ", ".join(f"{rate:,.0f}" for rate in one.rates)
        table.add_row(
            one.run.__name__, f"{statistics.median(one.rates):,.0f}", rates, f"{ratio(one, contenders[0]):.2f}"
        )
    console.print(table)
    return contenders


def main() -> int:
    """Measure, print, and return 0 when the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ministack", type=int, default=20_000, help="records of a run, 0 for none")
    parser.add_argument("--kinesis-local", type=int, default=5_000, help="records of a run, 0 for none")
    parser.add_argument("--memory", type=int, default=500_000, help="records of the memory run, 0 for none")
    options = parser.parse_args()
    missed = []
    keep_heap()  # for every loop, as the scorer's process does
    with tempfile.TemporaryDirectory() as temporary:
        model = toy.train(Path(temporary) / "bundle")
        if count := options.ministack:
            b, s, one = race("ministack", engines.ministack, [bare, scorer, single], count, options.rounds, model)
            missed += [f"{ratio(s, b):.2f} x bare on ministack"] * (ratio(s, b) < LEAST_OF_BARE)
            missed += [f"{ratio(s, one):.0f} x one at a time"] * (ratio(s, one) < LEAST_OF_SINGLE)
            console.print(f"the scorer is {ratio(s, one):.0f} x the loop of one record at a time")
        if count := options.kinesis_local:
            b, s = race("kinesis-local", engines.kinesis_local, [bare, scorer], count, options.rounds, model)
            missed += [f"{ratio(s, b):.2f} x bare on kinesis-local"] * (ratio(s, b) < LEAST_OF_BARE)
        if options.memory:
            used = memory(options.memory, model)
            console.print("resident megabytes:", {f"{mark:,}": round(mb, 1) for mark, mb in used.items()})
            growth = max(used.values()) / used[10_000] - 1
            console.print(f"at most {growth:.1%} over the first 10,000 records")
            missed += [f"memory grew by {growth:.1%}"] * (growth > MOST_GROWTH)
    for miss in missed:
        console.print(f"missed: {miss}", style="bold red")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
