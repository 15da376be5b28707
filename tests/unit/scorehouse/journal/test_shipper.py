"""The shipper: every line is stored, nothing is deleted before, and no line, disk or rival stops it."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from threading import Event
from typing import Any

import orjson
import pytest

from scorehouse import metrics
from scorehouse.errors import AlreadyRunning, StoreUnavailable
from scorehouse.journal import shipper as shipping
from scorehouse.journal.conflicts import read_conflicts
from scorehouse.journal.journal import Journal, segments
from scorehouse.journal.shipper import Shipper, read_state
from scorehouse.stores.sqlite_store import SqliteStore
from scorehouse.stores.store import Added, Document, Key

numbers = itertools.count()


class FlakyStore(SqliteStore):
    """The real store, that can be away."""

    def __init__(self, path: Path):
        super().__init__(path)
        self.away = False
        self.batches: list[int] = []

    def add(self, predictions: Any) -> Added:
        if self.away:
            raise StoreUnavailable("the store is away")
        self.batches.append(len(predictions))
        return super().add(predictions)


@pytest.fixture
def store(tmp_path: Path) -> FlakyStore:
    return FlakyStore(tmp_path / "predictions.db")


def line(id_: str, **fields: Any) -> bytes:
    document = {
        "kind": "prediction",
        "prediction_id": id_,
        "use_case": "churn",
        "model_run_id": "a" * 32,
        "created_at": "2026-11-21T06:04:38.123456+00:00",
        "door": "http",
        "record": {"age": 50},
        "prediction": 0.5,
        "customer_id": None,
        **fields,
    }
    return orjson.dumps(document) + b"\n"


def outcome_line(id_: str, value: float, at: str = "2026-11-21T07:00:00+00:00", **fields: Any) -> bytes:
    about = {"kind": "outcome", "prediction_id": id_, "outcome": value, "outcome_at": at, **fields}
    return orjson.dumps(about) + b"\n"


def ids(store: SqliteStore) -> list[str]:
    return [p["prediction_id"] for p in store.predictions_after("churn", 0, 100_000)]


def test_lines_go_to_the_store_and_a_finished_segment_goes(tmp_path: Path, store: FlakyStore) -> None:
    journal = Journal(tmp_path / "j", "http")
    journal.append(line("one") + line("two") + outcome_line("one", 1.0))
    with Shipper(tmp_path / "j", store) as shipper:
        assert shipper.ship() == 3
        assert ids(store) == ["one", "two"]
        assert store.outcomes_after("churn", 0, 10)[0]["outcome"] == 1.0
        assert len(list(segments(tmp_path / "j"))) == 1  # its writer lives
        journal.append(line("three"))
        journal.close()
        assert shipper.ship() == 1
        assert list(segments(tmp_path / "j")) == []
        assert shipper.ship() == 0
    assert ids(store) == ["one", "two", "three"]


def test_what_is_left_of_a_long_backlog_is_told_while_it_is_stored(
    tmp_path: Path, store: FlakyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "REPORT_SECONDS", -1.0)
    monkeypatch.setattr(shipping, "MOST", 1)  # a line at a time
    told: list[int] = []
    monkeypatch.setattr(shipping, "write_state", lambda _, state: told.append(state["backlog_bytes"]))
    journal = Journal(tmp_path / "j", "http")
    journal.append(line("one") + line("two"))
    with Shipper(tmp_path / "j", store) as shipper:
        shipper.ship()
    journal.close()
    assert told == [len(line("two")), 0]


def test_a_store_that_is_away_loses_nothing_and_the_backlog_is_told(tmp_path: Path, store: FlakyStore) -> None:
    journal = Journal(tmp_path / "j", "http")
    journal.append(line("one"))
    journal.close()
    store.away = True
    with Shipper(tmp_path / "j", store) as shipper:
        stop = Event()
        stop.set()
        shipper.run(stop)
        state = read_state(tmp_path / "j")
        assert state == {"store": "the store is away", "backlog_bytes": len(line("one"))}
        assert len(list(segments(tmp_path / "j"))) == 1
        store.away = False
        shipper.run(stop)
        assert read_state(tmp_path / "j") == {"store": "ok", "backlog_bytes": 0}
    assert ids(store) == ["one"]
    assert list(segments(tmp_path / "j")) == []


class StarvedStore(SqliteStore):
    """The real store, which can take only a few predictions in the time that a call has."""

    most = 250

    def add(self, predictions: Any) -> Added:
        if len(predictions) > self.most:
            raise StoreUnavailable("the store did not answer within 30 s")
        return super().add(predictions)


def test_a_store_that_is_too_slow_for_many_lines_gets_fewer_at_once(tmp_path: Path) -> None:
    store = StarvedStore(tmp_path / "predictions.db")
    with Shipper(tmp_path / "journal", store) as shipper:
        journal = Journal(tmp_path / "journal", "http")
        journal.append(b"".join(line(f"p{n}") for n in range(2_000)))
        journal.close()
        for attempt in itertools.count():
            assert attempt < 40, "the same lines are sent again and again"
            with contextlib.suppress(StoreUnavailable):
                shipper.ship()
            if not list(segments(tmp_path / "journal")):
                break
    assert len(ids(store)) == 2_000


def test_a_shipper_that_restarts_stores_nothing_twice(tmp_path: Path, store: FlakyStore) -> None:
    journal = Journal(tmp_path / "j", "http")
    for i in range(20):
        journal.append(line(str(i)))
    for _ in range(3):
        with Shipper(tmp_path / "j", store) as shipper:
            assert shipper.ship() == 20
    assert ids(store) == [str(i) for i in range(20)]


def test_a_shipper_that_dies_between_storing_and_deleting_changes_nothing(
    tmp_path: Path, store: FlakyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "j", "http")
    journal.append(line("one") + outcome_line("one", 0.0) + outcome_line("one", 1.0, "2026-11-21T08:00:00+00:00"))
    journal.close()

    def die(self: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, Shipper(tmp_path / "j", store) as shipper:
        patch.setattr(shipping.Segment, "delete_if_finished", die)
        with pytest.raises(KeyboardInterrupt):
            shipper.ship()
    before = store.predictions_after("churn", 0, 10)
    with Shipper(tmp_path / "j", store) as shipper:
        shipper.ship()
    assert store.predictions_after("churn", 0, 10) == before
    assert before[0]["outcome"] == 1.0
    assert list(segments(tmp_path / "j")) == []


def test_a_second_shipper_is_refused_while_the_first_lives(tmp_path: Path, store: FlakyStore) -> None:
    with Shipper(tmp_path / "j", store):
        with pytest.raises(AlreadyRunning, match="another shipper"):
            Shipper(tmp_path / "j", store)
        with Shipper(tmp_path / "elsewhere", store):
            pass
    with Shipper(tmp_path / "j", store) as again:
        assert again.ship() == 0


@pytest.mark.parametrize(
    "poison",
    [
        b"not json\n", b"\n", b"[]\n", b"null\n", b"{}\n", b'{"kind":"other"}\n', b"\x00\xff\n",
        line("p", prediction=None), line("p", record=None), line("p", prediction_id=7), line("p", created_at="soon"),
        line("p", caller=7), line("p", test="yes"),
        outcome_line("p", 1.0, sender=[]), outcome_line("p", 1.0, use_case=1),
        line("p", model_run_id=None), outcome_line("p", 1.0, at="never"),
        orjson.dumps({"kind": "outcome", "prediction_id": "p", "outcome": "1", "outcome_at": "2026-11-21"}) + b"\n",
    ],
)  # fmt: skip
def test_a_line_that_no_door_wrote_stops_nothing_behind_it(tmp_path: Path, store: FlakyStore, poison: bytes) -> None:
    before = metrics.UNREADABLE._value.get()
    journal = Journal(tmp_path / "j", "http")
    journal.append(line("before") + poison + line("after"))
    with Shipper(tmp_path / "j", store) as shipper:
        shipper.ship()
    assert ids(store) == ["before", "after"]
    assert metrics.UNREADABLE._value.get() == before + 1


def test_a_prediction_id_repeated_in_one_batch_is_kept_once_and_a_conflict_counted(
    tmp_path: Path, store: FlakyStore
) -> None:
    before = metrics.CONFLICTS._value.get()
    journal = Journal(tmp_path / "j", "http")
    journal.append(line("one") + line("one") + line("one", record={"age": 51}))
    with Shipper(tmp_path / "j", store) as shipper:
        shipper.ship()
    assert ids(store) == ["one"]
    assert store.predictions_after("churn", 0, 1)[0]["record"] == {"age": 50}
    assert metrics.CONFLICTS._value.get() == before + 1


def test_many_conflicts_are_one_log_line_and_a_list_for_the_doors(
    tmp_path: Path, store: FlakyStore, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path / "j", "http")
    journal.append(b"".join(line(f"p{n}", record={"age": age}) for n in range(1200) for age in (1, 2)))
    with Shipper(tmp_path / "j", store) as shipper:
        shipper.ship()
    assert sum("sent again with a different record" in r.getMessage() for r in caplog.records) == 1
    assert read_conflicts(tmp_path / "j") == [Key("churn", f"p{n}") for n in range(200, 1200)]


def test_who_asked_and_who_sent_the_outcome_is_stored_and_tests_are_left_out(tmp_path: Path, store: FlakyStore) -> None:
    before = metrics.OUTCOME_CONFLICTS._value.get()
    journal = Journal(tmp_path / "j", "http")
    journal.append(line("one", caller="shop") + line("check", test=True))
    journal.append(outcome_line("one", 1.0, use_case="churn", sender="billing"))
    journal.append(outcome_line("one", 0.0, "2026-11-21T08:00:00+00:00", use_case="churn", sender="agency"))
    with Shipper(tmp_path / "j", store) as shipper:
        shipper.ship()
    (found,) = store.predictions_after("churn", 0, 9)
    assert (found["caller"], found["sender"], found["outcome"]) == ("shop", "agency", 0.0)
    assert metrics.OUTCOME_CONFLICTS._value.get() == before + 1


def test_a_door_that_never_stops_writing_keeps_the_shipper_from_no_other(tmp_path: Path, store: FlakyStore) -> None:
    busy, quiet = Journal(tmp_path / "j", "busy"), Journal(tmp_path / "j", "quiet")
    busy.append(line("busy-0"))
    quiet.append(line("quiet"))
    real = store.add

    def add_and_more(predictions: list[Document]) -> Added:
        busy.append(line(f"busy-{next(numbers)}x"))
        return real(predictions)

    store.add = add_and_more  # type: ignore[method-assign, assignment]
    with Shipper(tmp_path / "j", store) as shipper:
        shipper.ship()
    assert "quiet" in ids(store)
    assert len(store.batches) == 2


def test_an_empty_segment_that_its_writer_takes_away_is_no_error(
    tmp_path: Path, store: FlakyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "j", "http")
    journal.append(line("one"))
    gone = tmp_path / "j" / "http-1-0.jsonl"
    monkeypatch.setattr(shipping, "segments", lambda folder: iter([gone, *segments(folder)]))
    with Shipper(tmp_path / "j", store) as shipper:
        assert shipper.ship() == 1
    assert ids(store) == ["one"]


def test_a_state_that_cannot_be_written_does_not_stop_the_shipper(
    tmp_path: Path, store: FlakyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    journal = Journal(tmp_path / "j", "http")
    journal.append(line("one"))
    with Shipper(tmp_path / "j", store) as shipper:
        monkeypatch.setattr(Path, "write_bytes", full)
        stop = Event()
        stop.set()
        shipper.run(stop)
    assert ids(store) == ["one"]


def test_while_the_store_is_away_the_shipper_waits_longer_and_longer_and_at_most_30_s(
    tmp_path: Path, store: FlakyStore
) -> None:
    waits: list[float] = []

    class Impatient(Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            if len(waits) == 10:
                store.away = False
            return len(waits) > 12

    store.away = True
    journal = Journal(tmp_path / "j", "http")
    journal.append(line("one"))
    with Shipper(tmp_path / "j", store) as shipper:
        shipper.run(Impatient())
    assert waits[:9] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
    assert waits[10:] == [0.5, 0.5, 0.5]
    assert ids(store) == ["one"]


def test_no_shipper_has_no_state(tmp_path: Path) -> None:
    assert read_state(tmp_path) == {}
