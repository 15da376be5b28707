"""Shards split and merge under traffic on an engine that reshards as AWS does: nothing is lost, order is kept."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests import engines
from tests.engines import Engine
from tests.processes import Scorer, running, until
from tests.streams import INPUT, Outcome, Traffic, running_with_streams

log = logging.getLogger(__name__)
COUNT = int(os.environ.get("STREAM_RESHARD_RECORDS", "2000"))
SECONDS = 60 + COUNT / 100


@pytest.fixture
def resharding(tmp_path: Path) -> Iterator[Engine]:
    """A running kinesis-local with the three streams, two shards each."""
    with running_with_streams(engines.kinesis_local(tmp_path / "engine"), 2) as engine:
        yield engine


def open_shards(client: Any) -> list[dict[str, Any]]:
    """Return the shards of the input stream that still take records, by their hash keys."""
    shards = client.list_shards(StreamName=INPUT)["Shards"]
    still_open = [s for s in shards if "EndingSequenceNumber" not in s["SequenceNumberRange"]]
    return sorted(still_open, key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))


def wait_until_active(client: Any) -> None:
    """Wait until the stream accepts another resharding: its shards change a moment before its status does."""

    def status() -> str:
        return str(client.describe_stream_summary(StreamName=INPUT)["StreamDescriptionSummary"]["StreamStatus"])

    until(lambda: status() == "ACTIVE", 20, "the stream is active")


def split(client: Any) -> None:
    """Split the first open shard in the middle, and wait until it is split."""
    wait_until_active(client)
    shard = open_shards(client)[0]
    low, high = (int(shard["HashKeyRange"][f"{end}HashKey"]) for end in ("Starting", "Ending"))
    middle = str((low + high) // 2)
    client.split_shard(StreamName=INPUT, ShardToSplit=shard["ShardId"], NewStartingHashKey=middle)
    until(lambda: shard["ShardId"] not in [s["ShardId"] for s in open_shards(client)], 20, "the shard is split")


def merge(client: Any) -> None:
    """Merge the last two open shards, and wait until they are merged."""
    wait_until_active(client)
    *_, one, other = (shard["ShardId"] for shard in open_shards(client))
    client.merge_shards(StreamName=INPUT, ShardToMerge=one, AdjacentShardToMerge=other)
    until(lambda: one not in [s["ShardId"] for s in open_shards(client)], 20, "the shards are merged")


def test_shards_split_and_merge_during_traffic(
    resharding: Engine, stream_scorer_of: Callable[[str], Scorer], traffic: Traffic, tmp_path: Path
) -> None:
    scorer = stream_scorer_of(resharding.address)
    client, outcome = resharding.client(), Outcome(resharding.client())
    feeder = Thread(target=traffic.put, args=(resharding.client(), COUNT), kwargs={"size": 100, "pause": 0.1})
    with running(scorer):
        feeder.start()
        for reshard in (split, merge, split, merge):
            reshard(client)
        scorer.kill()  # its checkpoints of parents and children must be remembered too
        scorer.start()
        merge(client)
        feeder.join(SECONDS)
        outcome.wait(traffic, SECONDS)
        assert scorer.stop() == 0
    shards = client.list_shards(StreamName=INPUT)["Shards"]
    still_open = {shard["ShardId"] for shard in open_shards(client)}
    log.info("%d shards, %d of them open: %s", len(shards), len(still_open), outcome.check(traffic, once=False))
    assert outcome.in_order(traffic)
    with closing(sqlite3.connect(tmp_path / "data" / "stream" / f"{INPUT}.db")) as db:
        ended = dict(db.execute("SELECT shard, ended FROM checkpoints"))
    assert {shard for shard, end in ended.items() if end} == {s["ShardId"] for s in shards} - still_open
