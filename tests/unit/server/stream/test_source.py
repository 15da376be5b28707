"""The source: every shard from where it was left, parents first, whatever Kinesis answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from server.stream.checkpoints import Checkpoints, Position, StreamId
from server.stream.shards import Shards
from server.stream.source import IDLE_SECONDS, LIST_SECONDS, ShardBatch, Source
from tests.unit.server.stream.fakes import Clock, FakeKinesis, FakeShard, refused


@pytest.fixture
def kinesis() -> FakeKinesis:
    return FakeKinesis()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def checkpoints(tmp_path: Path) -> Iterator[Checkpoints]:
    one = Checkpoints(tmp_path / "predictions.db")
    yield one
    one.close()


@pytest.fixture
def source(kinesis: FakeKinesis, checkpoints: Checkpoints, clock: Clock) -> Source:
    return made(kinesis, checkpoints, clock)


def made(kinesis: FakeKinesis, checkpoints: Checkpoints, clock: Clock) -> Source:
    shards = Shards(kinesis, "predictions", checkpoints, clock, lambda: 0.0)
    return Source(kinesis, "predictions", shards, clock, lambda: 0.0)


def pages(source: Source, clock: Clock, turns: int = 20) -> list[ShardBatch]:
    """Read and finish pages for so many turns, a second apart."""
    found = []
    for _ in range(turns):
        if page := source.read():
            found.append(page)
            source.done(page)
        clock.now += 1
    return found


def values(found: list[ShardBatch]) -> list[tuple[str, bytes]]:
    return [(page.shard.id, record["Data"]) for page in found for record in page.records]


def asked(kinesis: FakeKinesis, operation: str) -> list[dict[str, Any]]:
    return [given for name, given in kinesis.calls if name == operation]


def test_it_starts_with_the_oldest_record_and_reads_page_by_page(
    kinesis: FakeKinesis, source: Source, clock: Clock
) -> None:
    kinesis.page = 2
    kinesis.add("s0", 1, 2, 3)
    assert values(pages(source, clock)) == [("s0", b"1"), ("s0", b"2"), ("s0", b"3")]
    kinesis.add("s0", 4)
    assert values(pages(source, clock)) == [("s0", b"4")]


def test_it_starts_behind_the_checkpoint(kinesis: FakeKinesis, checkpoints: Checkpoints, clock: Clock) -> None:
    kinesis.add("s0", 1, 2, 3)
    checkpoints.save(StreamId("predictions", "1.000"), "s0", Position("2", False))
    assert values(pages(made(kinesis, checkpoints, clock), clock)) == [("s0", b"3")]


def test_a_checkpoint_of_another_stream_of_that_name_does_not_count(
    kinesis: FakeKinesis, checkpoints: Checkpoints, clock: Clock
) -> None:
    kinesis.add("s0", 1, 2, 3)
    checkpoints.save(StreamId("predictions", "0.000"), "s0", Position("2", False))
    assert len(values(pages(made(kinesis, checkpoints, clock), clock))) == 3


def test_a_record_that_the_stream_does_not_know_any_more_means_from_the_oldest(
    kinesis: FakeKinesis, checkpoints: Checkpoints, clock: Clock
) -> None:
    kinesis.add("s0", 1, 2)
    checkpoints.save(StreamId("predictions", "1.000"), "s0", Position("999", False))
    assert values(pages(made(kinesis, checkpoints, clock), clock)) == [("s0", b"1"), ("s0", b"2")]


def test_children_begin_when_both_parents_have_ended(kinesis: FakeKinesis, source: Source, clock: Clock) -> None:
    kinesis.shards = {"s0": FakeShard(), "s1": FakeShard(), "s2": FakeShard(("s0", "s1"))}
    kinesis.add("s2", "child")
    kinesis.add("s0", "parent")
    kinesis.add("s1", "other parent")
    kinesis.shards["s0"].closed = True
    found = values(pages(source, clock))
    assert found == [("s0", b'"parent"'), ("s1", b'"other parent"')]
    kinesis.shards["s1"].closed = True
    assert values(pages(source, clock)) == [("s2", b'"child"')]
    assert len(source.shards) == 1


def test_a_parent_that_has_ended_is_not_read_again_after_a_restart(
    kinesis: FakeKinesis, checkpoints: Checkpoints, clock: Clock
) -> None:
    kinesis.shards = {"s0": FakeShard(closed=True), "s1": FakeShard(("s0",))}
    kinesis.add("s0", "parent")
    kinesis.add("s1", "child")
    checkpoints.save(StreamId("predictions", "1.000"), "s0", Position("1", True))
    assert values(pages(made(kinesis, checkpoints, clock), clock)) == [("s1", b'"child"')]


def test_a_child_whose_parent_is_listed_no_more_begins_at_once(
    kinesis: FakeKinesis, source: Source, clock: Clock
) -> None:
    kinesis.shards = {"s7": FakeShard(("s3", "s4"))}
    kinesis.add("s7", "child")
    assert values(pages(source, clock)) == [("s7", b'"child"')]


def test_a_closed_shard_that_never_held_a_record_ends(kinesis: FakeKinesis, source: Source, clock: Clock) -> None:
    kinesis.shards["s0"].closed = True
    (page,) = pages(source, clock)
    assert page.position == Position(None, True)


def test_a_stream_made_anew_is_read_from_its_oldest_record(kinesis: FakeKinesis, source: Source, clock: Clock) -> None:
    kinesis.add("s0", "old")
    pages(source, clock)
    kinesis.created, kinesis.shards = 2.0, {"s0": FakeShard()}
    kinesis.add("s0", "new")
    kinesis.faults["get_records"] = [refused("ExpiredIteratorException"), refused("ResourceNotFoundException")]
    (page,) = pages(source, clock)
    assert page.records[0]["Data"] == b'"new"'
    assert page.shard.stream == StreamId("predictions", "2.000")


def test_an_expired_iterator_is_asked_for_again_behind_the_last_record(
    kinesis: FakeKinesis, source: Source, clock: Clock
) -> None:
    kinesis.add("s0", 1, 2)
    pages(source, clock)
    kinesis.add("s0", 3)
    kinesis.faults["get_records"] = [refused("ExpiredIteratorException")]
    assert values(pages(source, clock)) == [("s0", b"3")]
    assert asked(kinesis, "get_shard_iterator")[-1]["StartingSequenceNumber"] == "2"
    assert source.problem is None


def test_throttling_keeps_the_iterator_and_waits_longer_each_time(
    kinesis: FakeKinesis, source: Source, clock: Clock
) -> None:
    kinesis.add("s0", 1)
    source.read()
    waits = []
    kinesis.faults["get_records"] = [refused("ProvisionedThroughputExceededException") for _ in range(4)]
    for _ in range(4):
        assert source.read() is None
        waits.append(round(source.wait(), 3))
        clock.now += source.wait()
    assert waits == [0.1, 0.2, 0.4, 0.8]
    page = source.read()
    assert page
    assert len(asked(kinesis, "get_shard_iterator")) == 1
    source.done(page)
    clock.now += IDLE_SECONDS
    kinesis.faults["get_records"] = [refused("ProvisionedThroughputExceededException")]
    source.read()
    assert round(source.wait(), 3) == 0.1, "after a success the waits begin anew"


def test_a_shard_that_is_throttled_holds_up_no_other(kinesis: FakeKinesis, source: Source, clock: Clock) -> None:
    kinesis.shards["s1"] = FakeShard()
    kinesis.add("s0", "throttled")
    kinesis.add("s1", "well")
    source.read()
    kinesis.faults["get_records"] = [refused("LimitExceededException")]
    assert source.read() is None
    page = source.read()
    assert page
    assert page.shard.id == "s1"


@pytest.mark.parametrize(
    "error",
    [
        refused("InternalFailure", 500),
        refused("ServiceUnavailable", 503),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:9"),
    ],
)
def test_a_service_that_is_down_is_a_problem_until_it_answers(
    kinesis: FakeKinesis, source: Source, clock: Clock, error: Exception
) -> None:
    kinesis.add("s0", 1)
    source.read()
    kinesis.faults["get_records"] = [error]
    assert source.read() is None
    assert source.problem
    clock.now += 1
    assert source.read()
    assert source.problem is None


def test_a_stream_that_is_not_there_yet_is_waited_for(kinesis: FakeKinesis, source: Source, clock: Clock) -> None:
    kinesis.add("s0", 1)
    kinesis.faults["describe_stream_summary"] = [refused("ResourceNotFoundException") for _ in range(3)]
    assert source.read() is None
    assert "predictions" in str(source.problem)
    assert values(pages(source, clock)) == [("s0", b"1")]


@pytest.mark.parametrize("operation", ["describe_stream_summary", "list_shards", "get_shard_iterator", "get_records"])
def test_a_call_without_permission_ends_the_process(
    kinesis: FakeKinesis, source: Source, clock: Clock, operation: str
) -> None:
    kinesis.faults[operation] = [refused("AccessDeniedException")]
    with pytest.raises(ClientError, match="AccessDenied"):
        pages(source, clock)


def test_a_shard_that_is_behind_is_read_at_once_and_one_that_is_not_a_little_later(
    kinesis: FakeKinesis, source: Source
) -> None:
    kinesis.page = 1
    kinesis.add("s0", 1, 2)
    source.read()
    for expected in (0.0, IDLE_SECONDS):
        page = source.read()
        assert page
        source.done(page)
        assert source.wait() == expected


def test_new_shards_are_found_within_a_minute(kinesis: FakeKinesis, source: Source, clock: Clock) -> None:
    pages(source, clock)
    kinesis.shards["s1"] = FakeShard()
    kinesis.add("s1", "new")
    assert values(pages(source, clock, int(LIST_SECONDS) + 2)) == [("s1", b'"new"')]


def test_a_shard_that_vanished_is_read_no_more(kinesis: FakeKinesis, source: Source, clock: Clock) -> None:
    kinesis.shards["s1"] = FakeShard()
    pages(source, clock)
    del kinesis.shards["s1"]
    kinesis.faults["get_records"] = [refused("ResourceNotFoundException")] * 2
    pages(source, clock, 5)
    assert len(source.shards) == 1
