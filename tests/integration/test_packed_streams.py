"""Packed records through a real engine and the stream scorer's own process; AWS's own producer makes the aggregates."""

from __future__ import annotations

import gzip
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from backports import zstd

from tests import engines
from tests import toy as toys
from tests.aggregates import aggregate
from tests.engines import Engine
from tests.processes import Scorer, running
from tests.streams import INPUT, Outcome, Traffic, running_with_streams, shipped, stream_scorer
from tests.toy import Toy


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with running_with_streams(engines.ministack(tmp_path / "ministack"), 2) as engine:
        yield engine


@pytest.fixture
def scorer(engine: Engine, toy: Toy, tmp_path: Path) -> Scorer:
    return stream_scorer(tmp_path / "data", toys.cache_in(tmp_path / "data", toy), engine.address)


@pytest.fixture
def records(toy: Toy) -> list[dict[str, Any]]:
    return toys.records(toy.use_case, 500)


gz = partial(gzip.compress, mtime=0)
PACKINGS: dict[str, Callable[[list[bytes], str], bytes]] = {
    "lines": lambda datas, key: b"\n".join(datas),
    "list": lambda datas, key: b"[" + b",".join(datas) + b"]",
    "gzip": lambda datas, key: gz(b"\n".join(datas)),
    "zstd": lambda datas, key: zstd.compress(b"\n".join(datas)),
    "zlib": lambda datas, key: zlib.compress(b"\n".join(datas)),
    "base64": lambda datas, key: b64encode(gz(b"\n".join(datas))),
    "aggregate": lambda datas, key: aggregate([(f"{key} {n % 3}", data) for n, data in enumerate(datas)]),
    "gzipped parts": lambda datas, key: aggregate([(key, gz(data)) for data in datas]),
    "gzipped aggregate": lambda datas, key: gz(aggregate([(key, data) for data in datas])),
}


def put(client: Any, data: bytes, key: str) -> str:
    """Put one record, and return its place."""
    answer = client.put_records(StreamName=INPUT, Records=[{"Data": data, "PartitionKey": key}])
    assert not answer["FailedRecordCount"]
    place = answer["Records"][0]
    return f"{place['ShardId']}:{place['SequenceNumber']}"


def put_packed(traffic: Traffic, client: Any, count: int, random: Random) -> None:
    """Put `count` packed records of 1 to 400 records each, with a bad one in every tenth."""
    for n in range(count):
        name = random.choice(sorted(PACKINGS))
        size = random.randint(2, 400)
        chosen = [orjson.dumps(random.choice(traffic.records)) for _ in range(size)]
        bad = random.randrange(size) if n % 10 == 0 else -1
        if bad >= 0:
            chosen[bad] = b'{"gender":"M"}'
        key = f"key {n}"
        place = put(client, PACKINGS[name](chosen, key), key)
        for index in range(size):
            if index == bad:
                shard, _, sequence = place.partition(":")
                whole = gz(chosen[bad]) if name == "gzipped parts" else chosen[bad]
                traffic.unscorable[shard, sequence] = whole
            else:
                traffic.scorable[f"{place}:{index}"] = f"{key} {index % 3}" if name == "aggregate" else key


def test_every_part_of_every_packing_is_answered_once_and_in_order(
    engine: Engine, scorer: Scorer, records: list[dict[str, Any]], tmp_path: Path
) -> None:
    traffic, outcome = Traffic(records), Outcome(engine.client())
    random = Random(3)
    put_packed(traffic, engine.client(), 40, random)
    traffic.put(engine.client(), 500)
    put_packed(traffic, engine.client(), 10, random)
    with running(scorer):
        outcome.wait(traffic, 120)
        assert scorer.stop() == 0
    outcome.check(traffic, once=True)
    assert outcome.in_order(traffic)
    store = shipped(tmp_path / "data")
    assert store.keys() == traffic.scorable.keys()
    assert set(store.values()) == {1}


def test_killed_within_packed_records_it_repeats_their_answers_exactly(
    engine: Engine, scorer: Scorer, records: list[dict[str, Any]], tmp_path: Path
) -> None:
    traffic, outcome, random = Traffic(records), Outcome(engine.client()), Random(5)
    for _ in range(3):
        put_packed(traffic, engine.client(), 8, random)
        data = gz(b"\n".join(orjson.dumps(r) for r in records * 10))  # 5,000 records in one
        place = put(engine.client(), data, "large")
        traffic.scorable.update((f"{place}:{n}", "large") for n in range(5000))
        with running(scorer):
            time.sleep(random.uniform(0, 1))
            scorer.kill()
    with running(scorer):
        outcome.wait(traffic, 240)
        assert scorer.stop() == 0
    outcome.check(traffic, once=False)
    store = shipped(tmp_path / "data")
    assert store.keys() == traffic.scorable.keys()
    assert set(store.values()) == {1}


def test_records_that_cannot_be_read_stop_nobody(engine: Engine, scorer: Scorer, records: list[dict[str, Any]]) -> None:
    client, traffic, outcome = engine.client(), Traffic(records), Outcome(engine.client())
    whole = aggregate([("a", orjson.dumps(r)) for r in records[:3]])
    hostile = {
        "torn": whole[:-1],
        "gzip": gz(b"{}")[:-3],
        "a bomb": zstd.compress(b"\0" * 2**30),
        "a repeated name": orjson.dumps(records[0])[:-1] + b',"gender":"M"}',
    }
    reasons = {}
    for key, data in hostile.items():
        shard, _, sequence = put(client, data, key).partition(":")
        traffic.unscorable[shard, sequence] = data
        reasons[shard, sequence] = key
    traffic.put(client, 100)
    with running(scorer):
        outcome.wait(traffic, 60)
        assert scorer.stop() == 0
    outcome.check(traffic, once=True)
    told = {reasons[place]: errors[0]["reason"] for place, errors in outcome.reported().items() if place in reasons}
    assert told["torn"].startswith("is an aggregate of the Kinesis Producer Library that is torn")
    assert told["gzip"].startswith("is not whole gzip")
    assert told["a bomb"].startswith("exceeds the 16,777,216 bytes")
    assert told["a repeated name"].startswith("is ambiguous: the field 'gender' appears twice")
    assert b64decode(outcome.reported()[next(iter(reasons))][0]["data"]) == hostile["torn"]
