"""The client, the source and the publisher against real engines, where these differ from what one would think."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from scorehouse.streams.publisher import Publisher
from server.stream.checkpoints import Checkpoints
from server.stream.client import kinesis_client
from server.stream.shards import Shards
from server.stream.source import Source
from tests import engines
from tests.engines import REGION, Engine
from tests.streams import INPUT, RESULTS, Reader, create_streams
from tests.toy import HOST, free_port, until


def _started(engine: Engine) -> Iterator[Engine]:
    with engine.running():
        create_streams(engine.client(), 1)
        yield engine


@pytest.fixture(scope="module")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A running ministack."""
    yield from _started(engines.ministack(tmp_path_factory.mktemp("ministack")))


@pytest.fixture(scope="module")
def kinesis_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A running kinesis-local."""
    yield from _started(engines.kinesis_local(tmp_path_factory.mktemp("kinesis-local")))


def product_client(engine: Engine) -> Any:
    """Return the stream door's own client of `engine`: the tests' client parses times."""
    return kinesis_client(engine.address, REGION)


def publisher(engine: Engine) -> Publisher:
    """Return a publisher that waits for real."""
    return Publisher(product_client(engine), Event().wait, lambda: 0.0)


def test_arrival_times_stay_numbers(ministack: Engine, kinesis_local: Engine) -> None:
    for engine in (ministack, kinesis_local):
        client = product_client(engine)
        about = client.describe_stream_summary(StreamName=INPUT)["StreamDescriptionSummary"]
        assert isinstance(about["StreamCreationTimestamp"], int | float)


def test_a_dead_endpoint_fails_within_seconds() -> None:
    client = kinesis_client(f"http://{HOST}:{free_port()}", REGION)
    began = time.monotonic()
    with pytest.raises(EndpointConnectionError):
        client.list_streams()
    assert time.monotonic() - began < 8


def test_a_record_over_a_megabyte_is_refused_alone_and_told(kinesis_local: Engine) -> None:
    small = {"Data": b"small", "PartitionKey": "k"}
    refusals = publisher(kinesis_local).put(RESULTS, [small, {"Data": b"x" * (2**20 + 1), "PartitionKey": "k"}, small])
    assert [refusal.place for refusal in refusals] == [1]
    assert "InvalidArgument" in refusals[0].reason
    reader = Reader(kinesis_local.client(), RESULTS)
    assert reader.more() == 2


def drained(source: Source) -> list[bytes]:
    """Read until nothing has come for a second."""
    found: list[bytes] = []
    silent = time.monotonic() + 1
    while time.monotonic() < silent:
        if page := source.read():
            found += [record["Data"] for record in page.records]
            source.done(page)
            silent = time.monotonic() + 1
        time.sleep(source.wait())
    return found


def source(engine: Engine, checkpoints: Checkpoints) -> Source:
    """Return a source of the engine's input stream."""
    client = product_client(engine)
    shards = Shards(client, INPUT, checkpoints, time.monotonic, lambda: 0.0)
    return Source(client, INPUT, shards, time.monotonic, lambda: 0.0)


def numbered(client: Any, numbers: range) -> None:
    """Put a record for each number, all under one partition key."""
    client.put_records(
        StreamName=INPUT, Records=[{"Data": str(n).encode(), "PartitionKey": "customer 1"} for n in numbers]
    )


def test_records_before_and_after_a_split_and_a_merge_come_in_order(kinesis_local: Engine, tmp_path: Path) -> None:
    client, checkpoints = product_client(kinesis_local), Checkpoints(tmp_path / "predictions.db")
    numbered(client, range(100))
    client.split_shard(StreamName=INPUT, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    until(lambda: len(client.list_shards(StreamName=INPUT)["Shards"]) == 3, 10, "the shard is split")
    time.sleep(1)
    numbered(client, range(100, 200))
    children = {"ShardToMerge": "shardId-000000000001", "AdjacentShardToMerge": "shardId-000000000002"}
    client.merge_shards(StreamName=INPUT, **children)
    until(lambda: len(client.list_shards(StreamName=INPUT)["Shards"]) == 4, 10, "the shards are merged")
    time.sleep(1)
    numbered(client, range(200, 300))
    assert drained(source(kinesis_local, checkpoints)) == [str(n).encode() for n in range(300)]
    checkpoints.close()
