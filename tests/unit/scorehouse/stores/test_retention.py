"""What is older than KEEP_PREDICTIONS_DAYS goes, step by step, and never comes back from the journal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from scorehouse import metrics
from scorehouse.journal.journal import Journal
from scorehouse.journal.shipper import Shipper
from scorehouse.stores import retention as retention_module
from scorehouse.stores.retention import AT_ONCE, EVERY_SECONDS, Retention
from scorehouse.stores.sqlite_store import SqliteStore
from tests.unit.scorehouse.journal.test_shipper import line, outcome_line

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat()


class Clock:
    def __init__(self) -> None:
        self.seconds = NOW.timestamp()

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    """A store whose retention took its last step just now, as on a machine that runs."""
    store = SqliteStore(tmp_path / "predictions.db")
    store.set_retained_at(NOW.timestamp())
    return store


def fill(folder: Path, store: SqliteStore, *lines: bytes, retention: Retention | None = None) -> None:
    Journal(folder, "http").append(b"".join(lines))
    with Shipper(folder, store, retention) as shipper:
        shipper.ship()


def stored(store: SqliteStore) -> list[str]:
    return [p["prediction_id"] for p in store.predictions_after("churn", 0, 10_000)]


def test_what_is_too_old_goes_and_what_is_not_stays(tmp_path: Path, store: SqliteStore, clock: Clock) -> None:
    fill(tmp_path, store, line("old", created_at=at(31)), line("new", created_at=at(29)), outcome_line("x", 1, at(31)))
    Retention(30, clock).apply(store)
    assert stored(store) == ["new"] and store.waiting_outcomes() == 0


def test_without_a_limit_everything_stays(tmp_path: Path, store: SqliteStore, clock: Clock) -> None:
    fill(tmp_path, store, line("old", created_at=at(4000)))
    Retention(0, clock).apply(store)
    assert stored(store) == ["old"]


def test_it_looks_once_an_hour(tmp_path: Path, store: SqliteStore, clock: Clock) -> None:
    retention = Retention(30, clock)
    retention.apply(store)
    fill(tmp_path, store, line("old", created_at=at(31)))
    clock.seconds += EVERY_SECONDS - 1
    retention.apply(store)
    assert stored(store) == ["old"]
    clock.seconds += 1
    retention.apply(store)
    assert stored(store) == []


def test_many_go_in_steps_so_that_what_is_new_never_waits_long(
    tmp_path: Path, store: SqliteStore, clock: Clock
) -> None:
    fill(tmp_path, store, *(line(f"old-{n}", created_at=at(31)) for n in range(AT_ONCE + 5)))
    retention = Retention(30, clock)
    retention.apply(store)
    assert len(stored(store)) == 5
    retention.apply(store)
    assert stored(store) == []


def test_a_shipper_that_starts_anew_does_not_bring_back_what_was_forgotten(
    tmp_path: Path, store: SqliteStore, clock: Clock
) -> None:
    old = (line("old", created_at=at(31)), outcome_line("old", 1.0, at(31)), line("new", created_at=at(1)))
    fill(tmp_path, store, *old, retention=Retention(30, clock))
    assert stored(store) == ["new"] and store.waiting_outcomes() == 0


def test_counts_of_rejected_records_go_as_well(tmp_path: Path, store: SqliteStore, clock: Clock) -> None:
    minute = int(NOW.timestamp() // 60)
    count = {"use_case": "churn", "model_run_id": "a" * 32, "door": "http", "records": 1, "reasons": []}
    store.add_rejected([{**count, "id": "new", "minute": minute}, {**count, "id": "old", "minute": minute - 31 * 1440}])
    Retention(30, clock).apply(store)
    assert [c["id"] for c in store.rejected_since("churn", 0)] == ["new"]


def test_the_number_of_an_outcome_is_never_given_twice(tmp_path: Path, store: SqliteStore, clock: Clock) -> None:
    fill(tmp_path, store, line("old", created_at=at(31)), outcome_line("old", 1.0, at(30.5)))
    ((_, number),) = [(p["prediction_id"], p["outcome_seq"]) for p in store.outcomes_after("churn", 0, 10)]
    Retention(30, clock).apply(store)
    fill(
        tmp_path, store, line("new", created_at=at(1)), outcome_line("new", 1.0, at(0)), retention=Retention(30, clock)
    )
    assert [p["prediction_id"] for p in store.outcomes_after("churn", number, 10)] == ["new"]


def test_a_clock_that_jumped_removes_nothing_and_says_what_to_do(
    tmp_path: Path, store: SqliteStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, store, *(line(f"p{n}", created_at=at(n / 10)) for n in range(100)))
    clock.seconds += 3 * 365 * 86_400
    for _ in range(48):
        fill(tmp_path, store, line("unsent", created_at=at(0)), retention=Retention(30, clock))
        Retention(30, clock).apply(store)
        clock.seconds += EVERY_SECONDS
    fill(tmp_path, store, line("jumped", created_at=at(-3 * 365)))
    Retention(30, clock).apply(store)
    assert len(stored(store)) == 102
    assert "Check the clock" in caplog.text and "TRUST_CLOCK=True" in caplog.text
    assert metrics.RETENTION_HELD._value.get() == 1
    Retention(30, clock, trust_clock=True).look(store)
    assert metrics.RETENTION_HELD._value.get() == 0


def test_a_jump_within_the_time_that_is_kept_removes_nothing_either(
    tmp_path: Path, store: SqliteStore, clock: Clock
) -> None:
    fill(tmp_path, store, *(line(f"p{n}", created_at=at(n / 4)) for n in range(100)))
    clock.seconds += 20 * 86_400
    Retention(30, clock).apply(store)
    assert len(stored(store)) == 100
    clock.seconds -= 20 * 86_400 - EVERY_SECONDS
    Retention(30, clock).apply(store)
    assert len(stored(store)) == 100


def test_a_clock_that_is_right_after_all_is_believed_when_a_person_says_so(
    tmp_path: Path, store: SqliteStore, clock: Clock
) -> None:
    fill(tmp_path, store, line("old", created_at=at(1)))
    clock.seconds += 90 * 86_400
    Retention(30, clock).apply(store)
    assert stored(store) == ["old"]
    Retention(30, clock, trust_clock=True).apply(store)
    assert stored(store) == []


def test_retention_that_is_switched_on_or_was_away_for_a_week_goes_to_work(tmp_path: Path, clock: Clock) -> None:
    store = SqliteStore(tmp_path / "first.db")
    fill(tmp_path / "j", store, *(line(f"p{n}", created_at=at(n)) for n in range(100)))
    Retention(30, clock).apply(store)
    assert len(stored(store)) == 31
    clock.seconds += 7 * 86_400
    Retention(30, clock).apply(store)
    assert len(stored(store)) == 24


def test_a_clock_that_is_set_back_stops_nothing_for_good(tmp_path: Path, store: SqliteStore, clock: Clock) -> None:
    retention = Retention(30, clock)
    retention.apply(store)
    clock.seconds -= 365 * 86_400
    retention.apply(store)
    clock.seconds += EVERY_SECONDS
    fill(tmp_path, store, line("old", created_at=at(400)))
    retention.apply(store)
    assert stored(store) == []


def test_outcomes_that_wait_in_vain_are_dropped_counted_and_told_though_predictions_are_kept_forever(
    tmp_path: Path, store: SqliteStore, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = metrics.WAITING_DROPPED._value.get()
    monkeypatch.setattr(retention_module, "MOST_WAITING", 3)
    lines = [outcome_line("old", 1, at(31)), *(outcome_line(f"x{n}", 1, at(n)) for n in range(1, 6))]
    fill(tmp_path, store, line("kept", created_at=at(4000)), *lines)
    Retention(0, clock).apply(store)
    assert store.waiting_outcomes() == 3 and stored(store) == ["kept"]
    assert metrics.WAITING_DROPPED._value.get() == before + 3
    assert "dropped 3 outcomes whose prediction never came" in caplog.text


def test_a_challengers_log_expires_with_the_predictions(tmp_path: Path, store: SqliteStore, clock: Clock) -> None:
    folder = tmp_path / "monitor" / "churn"
    folder.mkdir(parents=True)
    logs = [folder / "shadow-a.jsonl", folder / "shadow-a.old.jsonl"]
    for path in logs:
        path.write_bytes(line("old", created_at=at(31)) + b'{"kind":"erased"}   \n' + line("new", created_at=at(29)))
    stop = Event()
    stop.set()
    with Shipper(tmp_path / "j", store, Retention(30, clock), tmp_path / "monitor") as shipper:
        shipper.run(stop)
    assert [path.read_bytes() for path in logs] == [line("new", created_at=at(29))] * 2
