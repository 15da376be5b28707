"""A Kinesis in memory, with its faults, and a model so small that its answers are seen at a glance."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import orjson
from botocore.exceptions import ClientError

from scorehouse.bundles.bundle import Bundle
from scorehouse.scoring.encoding import Encoder
from scorehouse.scoring.schema import RecordSchema
from scorehouse.scoring.scorer import Scorer
from scorehouse.serving.serving import Model
from scorehouse.usecase import Feature

FEATURES = (Feature(name="x", kind="number", help="", required=True),)


def model(run_id: str = "run-1", factor: float = 2.0) -> Model:
    """Return a model that answers `factor` times x."""
    manifest = SimpleNamespace(run_id=run_id, answer="chance", classes=[])
    scorer = Scorer(RecordSchema(FEATURES), lambda r: r, Encoder.of(FEATURES), lambda rows: factor * rows[:, 0])
    return Model(cast("Bundle", SimpleNamespace(manifest=manifest)), scorer)


def refused(code: str, status: int = 400) -> ClientError:
    """Return what the client raises for an answer of that code."""
    response = {"Error": {"Code": code, "Message": "said so"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(cast("Any", response), "Operation")


@dataclass
class FakeShard:
    """A shard: its records, its parents, and whether it was split or merged away."""

    parents: tuple[str, ...] = ()
    records: list[dict[str, Any]] = field(default_factory=list)
    closed: bool = False


@dataclass
class FakeKinesis:
    """One input stream, and what was put. The next calls of a name raise its `faults`, first to last."""

    created: float = 1.0
    shards: dict[str, FakeShard] = field(default_factory=lambda: {"s0": FakeShard()})
    faults: dict[str, list[Exception]] = field(default_factory=lambda: defaultdict(list))
    taken: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    entry_faults: list[list[str | None]] = field(default_factory=list)  # of the next calls: a code for each entry
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    page: int = 100

    def add(self, shard: str, *datas: Any) -> None:
        """Append records to `shard`; what is not bytes is made JSON."""
        for data in datas:
            raw = data if isinstance(data, bytes) else orjson.dumps(data)
            number = sum(len(s.records) for s in self.shards.values()) + 1
            record = {"SequenceNumber": str(number), "PartitionKey": f"k{number}", "Data": raw}
            self.shards[shard].records.append(record)

    def describe_stream_summary(self, **given: Any) -> dict[str, Any]:
        """As AWS does."""
        self._called("describe_stream_summary", given)
        return {"StreamDescriptionSummary": {"StreamCreationTimestamp": self.created, "StreamStatus": "ACTIVE"}}

    def get_paginator(self, operation: str) -> FakeKinesis:
        """Only list_shards is asked for."""
        assert operation == "list_shards"
        return self

    def paginate(self, **given: Any) -> list[dict[str, Any]]:
        """Return one page a shard."""
        self._called("list_shards", given)
        names = ("ParentShardId", "AdjacentParentShardId")
        return [
            {"Shards": [{"ShardId": id_, **dict(zip(names, shard.parents, strict=False))}]}
            for id_, shard in self.shards.items()
        ]

    def get_shard_iterator(self, **given: Any) -> dict[str, str]:
        """Return an iterator that says where it stands."""
        self._called("get_shard_iterator", given)
        numbers = [r["SequenceNumber"] for r in self.shards[given["ShardId"]].records]
        if given["ShardIteratorType"] == "TRIM_HORIZON":
            return {"ShardIterator": f"{given['ShardId']} 0"}
        if given["StartingSequenceNumber"] not in numbers:
            raise refused("ResourceNotFoundException")
        return {"ShardIterator": f"{given['ShardId']} {numbers.index(given['StartingSequenceNumber']) + 1}"}

    def get_records(self, **given: Any) -> dict[str, Any]:
        """Return a page, and no next iterator at a closed shard's end."""
        self._called("get_records", given)
        id_, _, place = given["ShardIterator"].partition(" ")
        shard, first = self.shards[id_], int(place)
        records = shard.records[first : first + min(self.page, given["Limit"])]
        left = len(shard.records) - first - len(records)
        answer: dict[str, Any] = {"Records": records, "MillisBehindLatest": left * 1000}
        if left or not shard.closed:
            answer["NextShardIterator"] = f"{id_} {first + len(records)}"
        return answer

    def put_records(self, **given: Any) -> dict[str, Any]:
        """Take the entries that no fault is waiting for."""
        self._called("put_records", given)
        entries = given["Records"]
        codes = self.entry_faults.pop(0) if self.entry_faults else [None] * len(entries)
        self.taken[given["StreamName"]] += [e for e, code in zip(entries, codes, strict=True) if code is None]
        places = [{"ErrorCode": c, "ErrorMessage": "said so"} if c else {"SequenceNumber": "1"} for c in codes]
        return {"FailedRecordCount": len(codes) - codes.count(None), "Records": places}

    def put(self, stream: str) -> list[Any]:
        """Return what `stream` took, as JSON values."""
        return [orjson.loads(entry["Data"]) for entry in self.taken[stream]]

    def _called(self, operation: str, given: dict[str, Any]) -> None:
        self.calls.append((operation, given))
        if self.faults[operation]:
            raise self.faults[operation].pop(0)


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now
