"""The loop: journal, put, checkpoint, in this order, for every page, until it is told to stop."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from botocore.exceptions import ClientError

from scorehouse import metrics
from scorehouse.errors import JournalError
from scorehouse.journal.journal import Journal, Segment, segments
from scorehouse.serving.serving import Serving
from scorehouse.streams.packing import SLICE
from scorehouse.streams.publisher import GaveUp, Publisher
from scorehouse.usecase import UseCase
from server.stream.checkpoints import Checkpoints, Position, StreamId
from server.stream.heartbeat import Heartbeat
from server.stream.scorer import StreamScorer
from server.stream.shards import Shards
from server.stream.source import Source
from tests.unit.server.stream.fakes import Clock, FakeKinesis, FakeShard, model, refused

STREAM = StreamId("predictions", "1.000")


class Turns(Heartbeat):
    """A pulse that never waits: each pause moves the clock, and after so many of them says stop."""

    def __init__(self, folder: Path, clock: Clock, turns: int = 60):
        """Stop after `turns` pauses."""
        super().__init__(folder / "alive", clock)
        self._moved, self.left = clock, turns

    def pause(self, seconds: float) -> bool:
        """Move the clock instead of waiting."""
        self._moved.now += seconds
        self.left -= 1
        if self.left < 0:
            self.stop()
        return super().pause(0)


class House:
    """A stream scorer around a Kinesis in memory."""

    def __init__(self, folder: Path):
        """Make all of it; the model is set."""
        self.kinesis, self.clock = FakeKinesis(), Clock()
        self.pulse = Turns(folder, self.clock)
        self.checkpoints = Checkpoints(folder / "predictions.db")
        self.journal = Journal(folder / "journal", "stream")
        self.serving = Serving("wine", "stream", self.journal)
        self.serving.model = model()
        self.folder = folder
        use_case = cast("UseCase", SimpleNamespace(name="wine", envelope=None))
        shards = Shards(self.kinesis, "predictions", self.checkpoints, self.clock, lambda: 0.0)
        self.source = Source(self.kinesis, "predictions", shards, self.clock, lambda: 0.0)
        publisher = Publisher(self.kinesis, self.pulse.pause, lambda: 0.0)
        streams = ("predictions", "results", "results-errors")
        self.scorer = StreamScorer(
            use_case, self.serving, self.source, publisher, self.checkpoints, streams, self.pulse, self.clock
        )

    def journalled(self) -> list[Any]:
        lines = [orjson.loads(line) for path in segments(self.folder / "journal") for line in Segment(path).read()[0]]
        return [line["prediction_id"] for line in lines if line["kind"] == "prediction"]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path)
    yield one
    one.checkpoints.close()
    one.journal.close()


def test_every_record_is_answered_or_told_as_an_error(house: House) -> None:
    house.kinesis.add("s0", {"x": 1}, b"nonsense", {"x": 3, "prediction_id": "mine"})
    house.scorer.run()
    assert house.kinesis.put("results") == [
        {"chance": 2.0, "model_run_id": "run-1", "prediction_id": "s0:1"},
        {"chance": 6.0, "model_run_id": "run-1", "prediction_id": "mine"},
    ]
    assert [entry["PartitionKey"] for entry in house.kinesis.taken["results"]] == ["k1", "k3"]
    (error,) = house.kinesis.put("results-errors")
    assert (error["shard"], error["sequence"], error["data"]) == ("s0", "2", "bm9uc2Vuc2U=")
    assert error["reason"].startswith("is not JSON")
    assert house.journalled() == ["s0:1", "mine"]
    assert house.checkpoints.positions(STREAM) == {"s0": Position("3", False)}


def test_the_order_is_journal_put_checkpoint(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def noted(name: str, call: Any) -> Any:
        def noting(*given: Any, **named: Any) -> Any:
            seen.append(name)
            return call(*given, **named)

        return noting

    journal, kinesis, checkpoints = house.serving.journal, house.kinesis, house.checkpoints
    monkeypatch.setattr(journal, "append", noted("journal", journal.append))
    monkeypatch.setattr(kinesis, "put_records", noted("put", kinesis.put_records))
    monkeypatch.setattr(checkpoints, "save", noted("checkpoint", checkpoints.save))
    house.kinesis.add("s0", {"x": 1})
    house.scorer.run()
    assert seen == ["journal", "put", "checkpoint"]


def test_nothing_is_read_while_no_model_serves(house: House) -> None:
    house.serving.model = None
    house.kinesis.add("s0", {"x": 1})
    house.scorer.run()
    assert "get_records" not in [name for name, _ in house.kinesis.calls]


def test_nothing_is_read_before_both_streams_of_answers_are_there(house: House) -> None:
    house.kinesis.add("s0", {"x": 1})
    house.kinesis.faults["describe_stream_summary"] = [refused("ResourceNotFoundException") for _ in range(3)]
    house.scorer.run()
    names = [name for name, _ in house.kinesis.calls]
    assert names[:6] == ["describe_stream_summary"] * 6  # three refused, results, errors, and then the input
    assert len(house.kinesis.put("results")) == 1


def test_a_swapped_model_answers_from_the_next_page_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.kinesis.page = 1
    house.kinesis.add("s0", {"x": 1}, {"x": 1})
    done = house.source.done

    def swap(page: Any) -> None:
        house.serving.model = model("run-2", 3.0)
        done(page)

    monkeypatch.setattr(house.source, "done", swap)
    house.scorer.run()
    assert [(a["model_run_id"], a["chance"]) for a in house.kinesis.put("results")] == [("run-1", 2.0), ("run-2", 3.0)]


def test_an_entry_that_results_will_never_take_is_told_as_an_error(house: House) -> None:
    house.kinesis.add("s0", {"x": 1}, {"x": 2})
    house.kinesis.entry_faults = [["InvalidArgumentException", None]]
    house.scorer.run()
    assert [a["prediction_id"] for a in house.kinesis.put("results")] == ["s0:2"]
    (error,) = house.kinesis.put("results-errors")
    assert error["sequence"] == "1"
    assert error["reason"] == "the results stream refused the answer: InvalidArgumentException: said so"


def test_where_the_journal_cannot_be_written_nothing_is_published_until_it_can(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, failing, tried = house.serving.journal.append, iter([True, True, False]), []

    def once_full(lines: bytes) -> None:
        tried.append(round(house.clock.now - 1000, 3))
        if next(failing, False):
            assert not house.kinesis.put("results")
            raise JournalError("the disk is full")
        append(lines)

    monkeypatch.setattr(house.serving.journal, "append", once_full)
    house.kinesis.add("s0", {"x": 1})
    house.scorer.run()
    assert tried == [0, 0.1, 0.3]
    assert len(house.kinesis.put("results")) == 1
    assert house.journalled() == ["s0:1"]


def lines(count: int) -> bytes:
    return b"\n".join(orjson.dumps({"x": n}) for n in range(count))


def test_the_checkpoint_moves_only_after_a_whole_record(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[tuple[str | None, int]] = []
    save = house.checkpoints.save

    def noted(stream: StreamId, shard: str, position: Position) -> None:
        saved.append((position.sequence, len(house.kinesis.put("results"))))
        save(stream, shard, position)

    monkeypatch.setattr(house.checkpoints, "save", noted)
    house.kinesis.add("s0", {"x": 1}, gzip.compress(lines(2 * SLICE + 1)), {"x": 3})
    house.scorer.run()
    assert saved == [("1", 1), (None, 1 + SLICE), (None, 1 + 2 * SLICE), ("3", 2 * SLICE + 3)]
    ids = ["s0:1", *(f"s0:2:{n}" for n in range(2 * SLICE + 1)), "s0:3"]
    assert [a["prediction_id"] for a in house.kinesis.put("results")] == house.journalled() == ids


def test_killed_within_a_record_the_next_start_gives_the_same_answers_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.kinesis.add("s0", {"x": 1}, lines(2 * SLICE + 1), {"x": 3})
    put, calls = house.kinesis.put_records, count()

    def killed(**given: Any) -> dict[str, Any]:
        if next(calls) == 6:  # in the second slice
            raise refused("AccessDeniedException")
        return put(**given)

    monkeypatch.setattr(house.kinesis, "put_records", killed)
    with pytest.raises(ClientError):
        house.scorer.run()
    before = house.kinesis.taken.pop("results")
    assert SLICE < len(before) < 2 * SLICE
    assert house.checkpoints.positions(STREAM) == {"s0": Position("1", False)}
    house.checkpoints.close()
    again = House(house.folder)
    again.kinesis = again.source._client = house.kinesis
    shards = Shards(house.kinesis, "predictions", again.checkpoints, again.clock, lambda: 0.0)
    again.source.shards = shards
    again.scorer._publisher._client = house.kinesis
    again.scorer.run()
    after = house.kinesis.taken["results"]
    assert after[: len(before) - 1] == before[1:]
    assert len(after) == 2 * SLICE + 2
    assert again.checkpoints.positions(STREAM) == {"s0": Position("3", False)}
    house.checkpoints = again.checkpoints


def test_told_to_stop_it_finishes_the_record_under_way_and_no_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.kinesis.add("s0", {"x": 1}, lines(2 * SLICE + 1), lines(2 * SLICE), {"x": 3})
    write, batches = house.scorer._write, count()

    def stopping(batch: Any) -> None:
        if next(batches) == 1:
            house.pulse.stop()
        write(batch)

    monkeypatch.setattr(house.scorer, "_write", stopping)
    house.scorer.run()
    assert house.checkpoints.positions(STREAM)["s0"].sequence in ("2", "3")
    whole = {"2": 1 + 2 * SLICE + 1, "3": 1 + 4 * SLICE + 1}
    assert len(house.kinesis.put("results")) == whole[house.checkpoints.positions(STREAM)["s0"].sequence or ""]


def test_the_counter_counts_parts(house: House) -> None:
    read = metrics.STREAM_IN.labels("predictions")._value
    before = read.get()
    house.kinesis.add("s0", {"x": 1}, b'{"x": 1}\n{"x": }\n{"x": 2}')
    house.scorer.run()
    assert read.get() - before == len(house.kinesis.put("results")) + len(house.kinesis.put("results-errors")) == 4


def test_the_end_of_a_shard_is_a_checkpoint(house: House) -> None:
    house.kinesis.shards = {"s0": FakeShard(closed=True), "s1": FakeShard(("s0",))}
    house.kinesis.add("s0", {"x": 1})
    house.kinesis.add("s1", {"x": 2})
    house.scorer.run()
    assert house.checkpoints.positions(STREAM) == {"s0": Position("1", True), "s1": Position("2", False)}
    assert [a["prediction_id"] for a in house.kinesis.put("results")] == ["s0:1", "s1:2"]


def test_stop_finishes_the_batch_though_entries_fail_meanwhile(house: House) -> None:
    house.pulse.left = 4
    house.kinesis.add("s0", *[{"x": i} for i in range(64)])
    code = "ProvisionedThroughputExceededException"
    house.kinesis.entry_faults = [[code if i % 2 else None for i in range(64 >> n)] for n in range(7)]
    house.scorer.run()
    assert len(house.kinesis.put("results")) == 64
    assert house.checkpoints.positions(STREAM) == {"s0": Position("64", False)}


def test_told_to_stop_while_results_is_down_it_leaves_the_batch_to_the_next_start(house: House) -> None:
    house.kinesis.add("s0", {"x": 1})
    house.kinesis.faults["put_records"] = [refused("ServiceUnavailable", 503) for _ in range(1000)]
    with pytest.raises(GaveUp):
        house.scorer.run()
    assert house.checkpoints.positions(STREAM) == {}


def test_results_that_may_not_be_written_end_the_process(house: House) -> None:
    house.kinesis.add("s0", {"x": 1})
    house.kinesis.faults["put_records"] = [refused("AccessDeniedException")]
    with pytest.raises(ClientError, match="AccessDenied"):
        house.scorer.run()
    assert house.checkpoints.positions(STREAM) == {}
    assert house.pulse.left > 0, "it ended before it was told to stop"


def test_a_reader_that_fails_does_not_wait_for_results_that_are_down(house: House) -> None:
    house.pulse.left, house.kinesis.page = 10**9, 1
    house.kinesis.add("s0", {"x": 1}, {"x": 2})
    house.kinesis.faults["put_records"] = [refused("ServiceUnavailable", 503)] * 100_000
    get, pages = house.kinesis.get_records, iter([False, True])

    def forbidden(**given: Any) -> dict[str, Any]:
        if next(pages):
            raise refused("AccessDeniedException")
        return get(**given)

    house.kinesis.get_records = forbidden  # type: ignore[method-assign]
    with pytest.raises(ClientError, match="AccessDenied"):
        house.scorer.run()
    assert house.kinesis.faults["put_records"], "it stopped waiting long before results came back"
