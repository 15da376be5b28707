"""What the stream tests share: records whose outcome is known beforehand, and a count of what was published."""

from __future__ import annotations

import sqlite3
import time
from base64 import b64decode, b64encode
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import orjson

from tests import processes
from tests.engines import Engine
from tests.processes import Scorer, until

INPUT, RESULTS, ERRORS = "predictions", "results", "results-errors"
KEYS = 1000  # partition keys over which the records are spread


def create_streams(client: Any, shards: int) -> None:
    """Create the three streams and wait until they are active."""
    for name in (INPUT, RESULTS, ERRORS):
        client.create_stream(StreamName=name, ShardCount=shards)
    for name in (INPUT, RESULTS, ERRORS):
        until(lambda name=name: _active(client, name), 20, f"the stream {name} is active")  # type: ignore[misc]


def delete_streams(client: Any) -> None:
    """Delete every stream with its records, and wait until they are gone."""
    for name in client.list_streams()["StreamNames"]:
        client.delete_stream(StreamName=name)
    until(lambda: not client.list_streams()["StreamNames"], 20, "the streams are deleted")


def _active(client: Any, name: str) -> bool:
    about = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    return bool(about["StreamStatus"] == "ACTIVE")


@contextmanager
def running_with_streams(engine: Engine, shards: int) -> Iterator[Engine]:
    """Run `engine` with the three streams."""
    with engine.running():
        create_streams(engine.client(), shards)
        yield engine


def trigger_event(bodies: list[bytes], shard: str) -> dict[str, Any]:
    """Return a Lambda trigger's event: record n has the sequence number 100 + n and the partition key `key-n`."""
    return {
        "Records": [
            {
                "eventID": f"{shard}:{100 + n}",
                "kinesis": {
                    "sequenceNumber": str(100 + n),
                    "partitionKey": f"key-{n}",
                    "data": b64encode(body).decode(),
                },
            }
            for n, body in enumerate(bodies)
        ]
    }


def stream_scorer(data_folder: Path, run_id: str, address: str, **environ: str) -> Scorer:
    """Return a stream scorer, not started: it serves `run_id` from the cache in `data_folder`."""
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    own = {"RUN_ID": run_id, "KINESIS_ADDRESS": address, **keys}
    return processes.door("server.stream", "STREAM_METRICS_PORT", data_folder, {**own, **environ})


@dataclass
class Traffic:
    """Records that were put: the ids that must be answered and the places that must be reported as errors, in order."""

    records: list[dict[str, Any]]
    bad_every: int = 100
    scorable: dict[str, str] = field(default_factory=dict)  # id -> partition key, in order
    unscorable: dict[tuple[str, str], bytes] = field(default_factory=dict)  # (shard, sequence) -> the record's bytes
    _count: int = 0

    def put(self, client: Any, count: int, size: int = 500, pause: float = 0.0) -> None:
        """Put `count` more records, `size` at a time; one in `bad_every` of them cannot be scored."""
        for first in range(0, count, size):
            batch = list(islice(self._following(), min(size, count - first)))
            entries = [{"Data": data, "PartitionKey": key} for data, key, _, _ in batch]
            answer = client.put_records(StreamName=INPUT, Records=entries)
            assert not answer["FailedRecordCount"]
            for (data, key, id_, good), place in zip(batch, answer["Records"], strict=True):
                shard, sequence = place["ShardId"], place["SequenceNumber"]
                if good:
                    self.scorable[id_ or f"{shard}:{sequence}"] = key
                else:
                    self.unscorable[shard, sequence] = data
            time.sleep(pause)

    def _following(self) -> Iterator[tuple[bytes, str, str, bool]]:
        bad = cycle(
            (
                b"not JSON",
                b"[1, 2]",
                orjson.dumps({**self.records[0], "gender": "X"}),
                orjson.dumps({"gender": "M"}),
                b"\xff\xfe",
            )
        )
        while True:
            i = self._count
            self._count += 1
            key = f"customer {i * 7919 % KEYS}"
            if i % self.bad_every == self.bad_every - 1:
                yield next(bad), key, "", False
                continue
            id_ = f"own-{i}" if i % 2 else ""
            record = self.records[i % len(self.records)]
            yield orjson.dumps({**record, "prediction_id": id_} if id_ else record), key, id_, True


class Reader:
    """Reads everything that a stream holds, including its closed shards; each call continues where the last ended."""

    def __init__(self, client: Any, stream: str):
        """Start with each shard's oldest record."""
        self._client = client
        self._stream = stream
        self._iterators: dict[str, str | None] = {}
        self.records: list[tuple[str, bytes]] = []  # (partition key, data), each shard in its order

    def more(self) -> int:
        """Read what is new, and return how many records were read in total."""
        for shard in self._client.list_shards(StreamName=self._stream)["Shards"]:
            where = {"StreamName": self._stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            if shard["ShardId"] not in self._iterators:
                self._iterators[shard["ShardId"]] = self._client.get_shard_iterator(**where)["ShardIterator"]
        for id_, iterator in self._iterators.items():
            self._iterators[id_] = self._read(iterator)
        return len(self.records)

    def _read(self, iterator: str | None) -> str | None:
        while iterator:
            batch = self._client.get_records(ShardIterator=iterator, Limit=10_000)
            iterator = batch.get("NextShardIterator")
            self.records += [(r["PartitionKey"], r["Data"]) for r in batch["Records"]]
            if not batch["Records"]:
                break
        return iterator


@dataclass
class Outcome:
    """The answers and errors that were published so far."""

    client: Any

    def __post_init__(self) -> None:
        """Read results and errors from the beginning."""
        self.results = Reader(self.client, RESULTS)
        self.errors = Reader(self.client, ERRORS)

    def wait(self, traffic: Traffic, seconds: float) -> None:
        """Wait until every record of `traffic` was answered or reported as an error."""
        until(lambda: self._all_there(traffic), seconds, "every record has its answer or its reason")

    def _all_there(self, traffic: Traffic) -> bool:
        time.sleep(0.2)  # an engine that is polled without a pause does nothing else
        self.results.more()
        self.errors.more()
        if len(self.results.records) < len(traffic.scorable) or len(self.errors.records) < len(traffic.unscorable):
            return False
        return self.answers().keys() >= traffic.scorable.keys() and self.reported().keys() >= traffic.unscorable.keys()

    def answers(self) -> dict[str, list[tuple[str, bytes]]]:
        """Return (partition key, bytes) of each answer by prediction id."""
        answers = defaultdict(list)
        for key, data in self.results.records:
            answers[orjson.loads(data)["prediction_id"]].append((key, data))
        return answers

    def reported(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Return the errors by (shard, sequence)."""
        errors = defaultdict(list)
        for _, data in self.errors.records:
            error = orjson.loads(data)
            errors[error["shard"], error["sequence"]].append(error)
        return errors

    def check(self, traffic: Traffic, once: bool) -> Mapping[str, int]:
        """Check that nothing is missing or unexpected and that repeated answers are the same; return counts to log."""
        answers = self.answers()
        reported = self.reported()
        assert answers.keys() == traffic.scorable.keys()
        assert reported.keys() == traffic.unscorable.keys()
        for id_, copies in answers.items():
            assert len(set(copies)) == 1, f"{id_} was answered differently: {copies}"
            assert copies[0][0] == traffic.scorable[id_], "the answer has another partition key"
        for place, errors in reported.items():
            assert all(e == errors[0] for e in errors)
            assert errors[0]["reason"]
            assert b64decode(errors[0]["data"]) == traffic.unscorable[place]
        counts = Counter(scorable=len(answers), answers=len(self.results.records), unscorable=len(reported))
        counts["errors"] = len(self.errors.records)
        if once:
            assert counts["answers"] == counts["scorable"]
            assert counts["errors"] == counts["unscorable"]
        return counts

    def in_order(self, traffic: Traffic) -> bool:
        """Return whether the first answers of each partition key are in the order of its records."""
        return _by_key(traffic.scorable.items()) == _by_key(
            dict.fromkeys((orjson.loads(data)["prediction_id"], key) for key, data in self.results.records)
        )


def _by_key(pairs: Any) -> dict[str, list[str]]:
    order = defaultdict(list)
    for id_, key in pairs:
        order[key].append(id_)
    return order


def shipped(data_folder: Path) -> Counter[str]:
    """Ship the journal that stopped scorers left behind; return how often the store holds each id."""
    with processes.running(processes.shipper(data_folder)):
        until(lambda: not list((data_folder / "journal").glob("*.jsonl")), 60, "the journal is shipped")
    with closing(sqlite3.connect(data_folder / "predictions.db")) as db:
        return Counter(dict(db.execute("SELECT prediction_id, count(*) FROM predictions GROUP BY prediction_id")))
