"""The SQLite store when its file is locked, full, damaged or gone; when all is well, the contract tests hold it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from scorehouse.errors import StoreUnavailable
from scorehouse.stores import sqlite_store
from scorehouse.stores.sqlite_store import SqliteStore


def prediction(id_: str, **fields: Any) -> dict[str, Any]:
    return {
        "prediction_id": id_,
        "use_case": "churn",
        "model_run_id": "a" * 32,
        "created_at": "2026-11-21T06:04:38+00:00",
        "door": "http",
        "record": {"x": 1},
        "prediction": 0.5,
        "customer_id": None,
        **fields,
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "predictions.db"


def count(store: SqliteStore) -> int:
    return len(store.predictions_after("churn", 0, 100_000))


def test_nothing_is_opened_before_the_first_use(path: Path) -> None:
    SqliteStore(path)
    assert not path.parent.exists()


def test_a_locked_store_is_unavailable_and_takes_all_once_the_lock_is_gone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "WAIT_SECONDS", 0.05)
    store = SqliteStore(path)
    store.add([prediction("one")])
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            store.add([prediction("two")])
        other.execute("ROLLBACK")
    other.close()
    assert store.add([prediction("one"), prediction("two")]).stored == 1
    assert count(store) == 2


def test_a_full_disk_takes_nothing_of_a_batch_and_all_of_it_later(path: Path) -> None:
    store = SqliteStore(path)
    store.add([prediction("one")])
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    batch = [prediction(str(i), record={"text": "x" * 500}) for i in range(200)]
    with pytest.raises(StoreUnavailable, match="full"):
        store.add(batch)
    assert count(store) == 1
    assert store.add(batch).stored == 200


def test_a_commit_that_fails_leaves_no_transaction_open(path: Path) -> None:
    store = SqliteStore(path)
    store.add([prediction("one")])

    class FailingOnce:
        def __init__(self, db: sqlite3.Connection):
            self.db, self.failed = db, False

        def execute(self, query: str, *values: Any) -> Any:
            if query == "COMMIT" and not self.failed:
                self.failed = True
                raise sqlite3.OperationalError("disk I/O error")
            return self.db.execute(query, *values)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.db, name)

    store._opened = FailingOnce(store._db)  # type: ignore[assignment]
    with pytest.raises(StoreUnavailable, match="disk I/O"):
        store.add([prediction("two")])
    assert store.add([prediction("two")]).stored == 1
    assert count(store) == 2


def test_a_damaged_file_is_told_and_stops_nothing_for_good(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database, and was never one" * 100)
    store = SqliteStore(path)
    with pytest.raises(StoreUnavailable, match="not a database"):
        store.add([prediction("one")])
    path.unlink()
    assert store.add([prediction("one")]).stored == 1


def test_a_deleted_file_is_made_anew_and_nothing_is_written_to_the_old_one(path: Path) -> None:
    store = SqliteStore(path)
    store.add([prediction("one")])
    for file in path.parent.iterdir():
        file.unlink()
    assert store.add([prediction("two")]).stored == 1
    assert count(SqliteStore(path)) == 1


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable):
        SqliteStore(tmp_path / "file" / "p.db").add([prediction("one")])


def test_a_line_that_lacks_what_it_must_have_is_the_callers_fault_and_not_the_stores(path: Path) -> None:
    store = SqliteStore(path)
    with pytest.raises(sqlite3.IntegrityError):
        store.add([prediction("one", prediction=None)])
    assert store.add([prediction("one")]).stored == 1


def test_a_batch_that_fails_half_way_leaves_nothing_of_itself_and_no_transaction_open(path: Path) -> None:
    store = SqliteStore(path)
    with pytest.raises(TypeError):
        store.add([prediction("one"), prediction("two", record={"x": object()})])
    assert count(store) == 0
    assert store.add([prediction("two")]).stored == 1


def test_a_reader_in_another_connection_sees_whole_batches(path: Path) -> None:
    writer, reader = SqliteStore(path), SqliteStore(path)
    writer.add([prediction("one")])
    assert count(reader) == 1
    writer._db.execute("BEGIN IMMEDIATE")
    writer._db.execute("DELETE FROM predictions")
    assert count(reader) == 1
    writer._db.execute("ROLLBACK")


def test_no_query_reads_the_whole_table(path: Path) -> None:
    store = SqliteStore(path)
    store.add([prediction("one")])
    store.add_outcomes([{"prediction_id": "one", "outcome": 1.0, "outcome_at": "2026-11-21"}])
    asked: list[str] = []
    store._db.set_trace_callback(asked.append)
    store.add([prediction("one"), prediction("two")])
    store.add_outcomes([{"prediction_id": "one", "outcome": 0.0, "outcome_at": "2026-11-22"}])
    store.predictions_after("churn", 0, 10)
    store.outcomes_after("churn", 0, 10)
    store._db.set_trace_callback(None)
    queries = [q for q in asked if q.lstrip().startswith(("SELECT", "UPDATE", "INSERT", "DELETE"))]
    assert len(queries) >= 6
    for query in queries:
        plan = [row[3] for row in store._db.execute(f"EXPLAIN QUERY PLAN {query}")]
        assert not any(step in ("SCAN predictions", "SCAN waiting") for step in plan), (query, plan)
