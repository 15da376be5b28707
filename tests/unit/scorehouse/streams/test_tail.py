"""A tail reads on from where it was, through faults, splits and merges, and begins when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from scorehouse.streams.tail import Tail

DOWN = EndpointConnectionError(endpoint_url="http://stream")
THEN = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Client:
    """Shards by stream as lists of data; what is in `closed` has ended, with these children."""

    def __init__(self, **shards: list[bytes]):
        self.shards, self.closed = {("s", name): data for name, data in shards.items()}, dict[str, list[str]]()
        self.asked: list[tuple[str, str]] = []  # shard, iterator type
        self.faults = 0

    def list_shards(self, **asked: str) -> dict[str, Any]:
        names = [name for stream, name in self.shards if stream == "s"]
        if "StreamName" in asked and len(names) > 1:
            return {"Shards": [{"ShardId": names[0]}], "NextToken": "more"}
        return {"Shards": [{"ShardId": name} for name in (names if "StreamName" in asked else names[1:])]}

    def get_shard_iterator(self, StreamName: str, ShardId: str, ShardIteratorType: str, **more: Any) -> dict[str, Any]:  # noqa: N803
        self.asked.append((ShardId, ShardIteratorType))
        data = self.shards[StreamName, ShardId]
        place = {"LATEST": len(data), "TRIM_HORIZON": 0, "AT_TIMESTAMP": 1}.get(ShardIteratorType)
        place = int(more["StartingSequenceNumber"]) + 1 if place is None else place
        return {"ShardIterator": f"{ShardId}:{place}"}

    def get_records(self, ShardIterator: str, Limit: int) -> dict[str, Any]:  # noqa: N803
        if self.faults:
            self.faults -= 1
            raise DOWN
        shard, _, place = ShardIterator.partition(":")
        data = self.shards["s", shard]
        page: dict[str, Any] = {
            "Records": [{"Data": d, "SequenceNumber": str(i)} for i, d in enumerate(data) if i >= int(place)]
        }
        if shard in self.closed:
            return {**page, "ChildShards": [{"ShardId": c} for c in self.closed[shard]]}
        return {**page, "NextShardIterator": f"{shard}:{len(data)}"}


def read(tail: Tail) -> list[bytes]:
    return [data for _, data in tail.read()]


def test_without_a_moment_it_begins_behind_what_is_there() -> None:
    client = Client(a=[b"old"], b=[])
    tail = Tail(client, ["s"])
    client.shards["s", "a"].append(b"new")
    client.shards["s", "b"].append(b"too")
    assert list(tail.read()) == [("s", b"new"), ("s", b"too")]
    assert read(tail) == []


def test_with_a_moment_it_begins_there_also_after_a_fault() -> None:
    client = Client(a=[b"before", b"since"])
    tail = Tail(client, ["s"], THEN)
    client.faults = 1
    assert read(tail) == []
    assert read(tail) == [b"since"]
    assert {kind for _, kind in client.asked} == {"AT_TIMESTAMP"}


def test_after_a_fault_it_reads_on_from_its_last_record() -> None:
    client = Client(a=[])
    tail = Tail(client, ["s"])
    client.shards["s", "a"] += [b"1", b"2"]
    assert read(tail) == [b"1", b"2"]
    client.faults = 1
    client.shards["s", "a"].append(b"3")
    assert (read(tail), read(tail)) == ([], [b"3"])
    assert client.asked[-1] == ("a", "AFTER_SEQUENCE_NUMBER")


def test_the_children_of_a_split_and_of_a_merge_are_read_once_from_their_beginning() -> None:
    client = Client(a=[], b=[])
    tail = Tail(client, ["s"])
    client.shards |= {("s", "c"): [b"3"]}
    client.shards["s", "a"].append(b"1")
    client.shards["s", "b"].append(b"2")
    client.closed |= {"a": ["c"], "b": ["c"]}
    assert [read(tail), read(tail), read(tail)] == [[b"1", b"2"], [b"3"], []]


def test_a_stream_that_is_not_there_is_told_at_once() -> None:
    class Gone(Client):
        def list_shards(self, **asked: str) -> dict[str, Any]:
            raise DOWN

    with pytest.raises(EndpointConnectionError):
        Tail(Gone(), ["s"])
