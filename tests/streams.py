"""What the stream tests share: records of which it is known what must become of them, and a count of what did."""

from __future__ import annotations

import sqlite3
import time
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import orjson

from tests import toy as toys
from tests.toy import HOST, Scorer, free_port, until

INPUT, RESULTS, ERRORS = "predictions", "results", "results-errors"
KEYS = 1000  # partition keys among which the records are spread


def create_streams(client: Any, shards: int) -> None:
    """Make the three streams and wait until they are there."""
    for name in (INPUT, RESULTS, ERRORS):
        client.create_stream(StreamName=name, ShardCount=shards)
    for name in (INPUT, RESULTS, ERRORS):
        until(lambda name=name: _active(client, name), 20, f"the stream {name} is active")  # type: ignore[misc]


def _active(client: Any, name: str) -> bool:
    about = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    return bool(about["StreamStatus"] == "ACTIVE")


def stream_scorer(data_folder: Path, run_id: str, address: str, **environ: str) -> Scorer:
    """Return a stream scorer, not started: it serves `run_id` from the cache in `data_folder`."""
    port = free_port()
    given = {
        "DATA_FOLDER": str(data_folder),
        "RUN_ID": run_id,
        "STREAM_METRICS_PORT": str(port),
        "KINESIS_ADDRESS": address,
        "MLFLOW_ADDRESS": f"http://{HOST}:9",  # the discard port: nobody answers
        "USE_CASE": "churn",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **environ,
    }
    data_folder.mkdir(parents=True, exist_ok=True)
    return Scorer("server.stream", given, data_folder / "stream.log", url=f"http://{HOST}:{port}")


@dataclass
class Traffic:
    """Records that were put: the ids that must be answered, and the places that must be told as errors, in order."""

    records: list[dict[str, Any]]
    bad_every: int = 100
    scorable: dict[str, str] = field(default_factory=dict)  # id -> partition key, in order
    unscorable: dict[tuple[str, str], bytes] = field(default_factory=dict)  # (shard, sequence) -> the record's bytes
    _count: int = 0

    def put(self, client: Any, count: int, size: int = 500, pause: float = 0.0) -> None:
        """Put `count` more records, `size` at a time; one in `bad_every` of them cannot be scored."""
        for done in range(0, count, size):
            batch = list(islice(self._following(), min(size, count - done)))
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
    """Everything that a stream holds, read on at each call, closed shards too."""

    def __init__(self, client: Any, stream: str):
        """Begin with each shard's oldest record."""
        self._client, self._stream = client, stream
        self._iterators: dict[str, str | None] = {}
        self.records: list[tuple[str, bytes]] = []  # (partition key, data), each shard in its order

    def more(self) -> int:
        """Read what came since, and return how many records there are."""
        for shard in self._client.list_shards(StreamName=self._stream)["Shards"]:
            where = {"StreamName": self._stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            if shard["ShardId"] not in self._iterators:
                self._iterators[shard["ShardId"]] = self._client.get_shard_iterator(**where)["ShardIterator"]
        for id_, iterator in self._iterators.items():
            self._iterators[id_] = self._read(iterator)
        return len(self.records)

    def _read(self, iterator: str | None) -> str | None:
        while iterator:
            page = self._client.get_records(ShardIterator=iterator, Limit=10_000)
            iterator = page.get("NextShardIterator")
            self.records += [(r["PartitionKey"], r["Data"]) for r in page["Records"]]
            if not page["Records"]:
                break
        return iterator


@dataclass
class Outcome:
    """What became of traffic so far."""

    client: Any

    def __post_init__(self) -> None:
        """Read results and errors from their beginning."""
        self.results, self.errors = Reader(self.client, RESULTS), Reader(self.client, ERRORS)

    def wait(self, traffic: Traffic, seconds: float) -> None:
        """Wait until every record of `traffic` was answered or told as an error."""
        until(lambda: self._all_there(traffic), seconds, "every record has its answer or its reason")

    def _all_there(self, traffic: Traffic) -> bool:
        time.sleep(0.2)  # an engine that is asked all the time does nothing else
        self.results.more()
        self.errors.more()
        if len(self.results.records) < len(traffic.scorable) or len(self.errors.records) < len(traffic.unscorable):
            return False
        return self.answers().keys() >= traffic.scorable.keys() and self.told().keys() >= traffic.unscorable.keys()

    def answers(self) -> dict[str, list[tuple[str, bytes]]]:
        """Return (partition key, bytes) of each answer by prediction id."""
        found = defaultdict(list)
        for key, data in self.results.records:
            found[orjson.loads(data)["prediction_id"]].append((key, data))
        return found

    def told(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Return the errors by (shard, sequence)."""
        found = defaultdict(list)
        for _, data in self.errors.records:
            error = orjson.loads(data)
            found[error["shard"], error["sequence"]].append(error)
        return found

    def check(self, traffic: Traffic, once: bool) -> Mapping[str, int]:
        """Check that nothing is missing, strange or different when it came twice; return counts, for a report."""
        answers, told = self.answers(), self.told()
        assert answers.keys() == traffic.scorable.keys()
        assert told.keys() == traffic.unscorable.keys()
        for id_, copies in answers.items():
            assert len(set(copies)) == 1, f"{id_} was answered differently: {copies}"
            assert copies[0][0] == traffic.scorable[id_], "the answer has another partition key"
        for place, errors in told.items():
            assert all(e == errors[0] for e in errors)
            assert errors[0]["reason"]
            assert b64decode(errors[0]["data"]) == traffic.unscorable[place]
        counts = Counter(scorable=len(answers), answers=len(self.results.records), unscorable=len(told))
        counts["errors"] = len(self.errors.records)
        if once:
            assert counts["answers"] == counts["scorable"]
            assert counts["errors"] == counts["unscorable"]
        return counts

    def in_order(self, traffic: Traffic) -> bool:
        """Say whether the first answers of each partition key stand in the order of its records."""
        return _by_key(traffic.scorable.items()) == _by_key(
            dict.fromkeys((orjson.loads(data)["prediction_id"], key) for key, data in self.results.records)
        )


def _by_key(pairs: Any) -> dict[str, list[str]]:
    order = defaultdict(list)
    for id_, key in pairs:
        order[key].append(id_)
    return order


def shipped(data_folder: Path) -> Counter[str]:
    """Let a shipper move the journal that stopped scorers left; return how often the store holds each id."""
    shipper = toys.shipper(data_folder)
    with toys.running(shipper):
        until(lambda: not list((data_folder / "journal").glob("*.jsonl")), 60, "the journal is shipped")
    with closing(sqlite3.connect(data_folder / "predictions.db")) as db:
        return Counter(dict(db.execute("SELECT prediction_id, count(*) FROM predictions GROUP BY prediction_id")))
