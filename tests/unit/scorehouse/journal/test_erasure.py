"""A customer who is erased is gone from journal and store, stays gone, and takes nobody else along."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import orjson
import pytest

from scorehouse import metrics
from scorehouse.journal import erasure
from scorehouse.journal.conflicts import KnownConflicts, read_conflicts
from scorehouse.journal.erasure import Erased, hold_journal
from scorehouse.journal.journal import Journal, segments
from scorehouse.journal.shadow import hold_shadow
from scorehouse.journal.shipper import Shipper
from scorehouse.stores.sqlite_store import SqliteStore
from scorehouse.stores.store import Key
from tests.unit.scorehouse.journal.test_shipper import line, outcome_line

LINES = [
    line("one", customer_id=7, record={"age": 50, "gender": "M"}),
    line("two", customer_id="8"),
    line("three", customer_id="7"),
    outcome_line("one", 1.0),
    outcome_line("two", 0.0),
]


def erase(folder: Path, store: SqliteStore, customer_id: str) -> Erased:
    return erasure.erase(folder, store, customer_id, folder.parent / "monitor")


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "predictions.db")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def journal(folder: Path) -> Journal:
    journal = Journal(folder, "http")
    journal.append(b"".join(LINES))
    return journal


def stored(store: SqliteStore) -> list[str]:
    return [p["prediction_id"] for p in store.predictions_after("churn", 0, 100)]


def ship(folder: Path, store: SqliteStore) -> None:
    with Shipper(folder, store) as shipper:
        shipper.ship()


def test_what_is_still_in_the_journal_never_reaches_the_store(
    folder: Path, journal: Journal, store: SqliteStore
) -> None:
    assert erase(folder, store, "7") == Erased(stored=0, lines=3)
    ship(folder, store)
    assert stored(store) == ["two"]
    assert store.waiting_outcomes() == 0


def test_what_is_stored_is_removed_and_a_shipper_that_starts_anew_does_not_bring_it_back(
    folder: Path, journal: Journal, store: SqliteStore
) -> None:
    ship(folder, store)
    assert stored(store) == ["one", "two", "three"]
    assert erase(folder, store, "7") == Erased(stored=2, lines=3)
    ship(folder, store)
    assert stored(store) == ["two"]


def test_no_byte_of_the_customer_is_left_in_any_file(
    folder: Path, journal: Journal, store: SqliteStore, tmp_path: Path
) -> None:
    journal.append(line("four", customer_id="7", record={"secret": "Ann Example"}))
    ship(folder, store)
    assert any(b"Ann Example" in p.read_bytes() for p in tmp_path.glob("predictions.db*"))
    erase(folder, store, "7")
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert [p.name for p in files if b"Ann Example" in p.read_bytes()] == []


def test_the_door_goes_on_writing_into_the_segment_that_was_erased_from(
    folder: Path, journal: Journal, store: SqliteStore
) -> None:
    (segment,) = segments(folder)
    size = segment.stat().st_size
    erase(folder, store, "7")
    journal.append(line("five", customer_id="9"))
    assert segment.stat().st_size == size + len(line("five", customer_id="9"))
    ship(folder, store)
    assert stored(store) == ["two", "five"]


def test_erased_lines_are_no_unreadable_ones(folder: Path, journal: Journal, store: SqliteStore) -> None:
    before = metrics.UNREADABLE._value.get()
    erase(folder, store, "7")
    ship(folder, store)
    assert metrics.UNREADABLE._value.get() == before


def test_a_line_that_is_being_written_or_that_no_door_wrote_is_left_as_it_is(
    folder: Path, journal: Journal, store: SqliteStore
) -> None:
    journal.append(b"no json\n" + line("six", customer_id="7")[:-20])
    before = next(segments(folder)).read_bytes()
    assert erase(folder, store, "7").lines == 3
    after = next(segments(folder)).read_bytes()
    assert len(after) == len(before) and after[-100:] == before[-100:]


def test_erasing_again_or_somebody_unknown_changes_nothing(folder: Path, journal: Journal, store: SqliteStore) -> None:
    erase(folder, store, "7")
    before = next(segments(folder)).read_bytes()
    assert erase(folder, store, "7") == erase(folder, store, "nobody") == Erased(0, 0)
    assert next(segments(folder)).read_bytes() == before


def test_an_erasure_waits_until_what_the_shipper_has_read_is_stored(
    folder: Path, journal: Journal, store: SqliteStore
) -> None:
    thread = Thread(target=erase, args=(folder, SqliteStore(store._path), "7"))
    with hold_journal(folder):  # as the shipper does from its reading to its storing
        thread.start()
        thread.join(0.05)
        assert thread.is_alive()
        store.add([{**p, "record": {}} for p in [_prediction("one")]])
    thread.join(10)
    assert stored(store) == []


def test_an_outcome_that_waits_goes_with_its_prediction(folder: Path, store: SqliteStore) -> None:
    journal = Journal(folder, "http")
    journal.append(outcome_line("late", 1.0))
    ship(folder, store)
    assert store.waiting_outcomes() == 1
    journal.append(line("late", customer_id="7"))
    assert erase(folder, store, "7") == Erased(stored=0, lines=2)
    assert store.waiting_outcomes() == 0


def test_another_use_cases_prediction_of_the_same_id_stays(folder: Path, store: SqliteStore) -> None:
    journal = Journal(folder, "http")
    mine, other = line("order-7", customer_id="7"), line("order-7", customer_id="8", use_case="wine")
    journal.append(mine + other + outcome_line("order-7", 1.0, use_case="wine"))
    assert erase(folder, store, "7") == Erased(stored=0, lines=1)
    ship(folder, store)
    (kept,) = store.predictions_after("wine", 0, 9)
    assert kept["outcome"] == 1.0 and stored(store) == []


def test_the_challengers_logs_are_reached_and_the_monitor_goes_on_writing_them(
    folder: Path, journal: Journal, store: SqliteStore
) -> None:
    ship(folder, store)
    for use_case, name in (("churn", "shadow-a.jsonl"), ("churn", "shadow-a.old.jsonl"), ("wine", "shadow-b.jsonl")):
        path = folder.parent / "monitor" / use_case / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(line("one") + line("two"))
    with (folder.parent / "monitor" / "churn" / "shadow-a.jsonl").open("ab") as file:
        assert erase(folder, store, "7") == Erased(stored=2, lines=3, shadow_lines=2)
        file.write(line("four"))
    for name, left in (("shadow-a.jsonl", ["two", "four"]), ("shadow-a.old.jsonl", ["two"])):
        content = (folder.parent / "monitor" / "churn" / name).read_text().splitlines()
        assert [orjson.loads(text).get("prediction_id") for text in content if "erased" not in text] == left
    assert (folder.parent / "monitor" / "wine" / "shadow-b.jsonl").read_bytes() == line("one") + line("two")


def test_an_erasure_waits_for_a_challenger_that_has_read_and_not_yet_written(
    folder: Path, journal: Journal, store: SqliteStore
) -> None:
    path = folder.parent / "monitor" / "churn" / "shadow-a.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(line("two"))
    thread = Thread(target=erase, args=(folder, SqliteStore(store._path), "7"))
    with hold_shadow(path.parent):  # as the challenger does from its reading to its writing
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        path.write_bytes(line("two") + line("one"))
    thread.join(10)
    assert b'"one"' not in path.read_bytes()


def test_the_list_of_conflicting_ids_is_reached(folder: Path, journal: Journal, store: SqliteStore) -> None:
    journal.append(line("one", record={"age": 51}) + line("two", record={"age": 51}))
    ship(folder, store)
    assert read_conflicts(folder) == [Key("churn", "one"), Key("churn", "two")]
    known = KnownConflicts(folder)
    assert known.among([Key("churn", "one"), Key("wine", "one")]) == [Key("churn", "one")]
    erase(folder, store, "7")
    assert read_conflicts(folder) == [Key("churn", "two")]
    assert known.among([Key("churn", "one")]) == []


def _prediction(id_: str) -> dict[str, object]:
    return {
        "prediction_id": id_, "use_case": "churn", "model_run_id": "a" * 32, "door": "http", "prediction": 0.5,
        "created_at": "2026-11-21T06:04:38+00:00", "customer_id": "7",
    }  # fmt: skip
