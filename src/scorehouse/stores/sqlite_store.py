"""The prediction store in one SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import orjson

from scorehouse.errors import StoreUnavailable
from scorehouse.stores.sqlite_removal import NEXT, TABLES, forget, remove
from scorehouse.stores.store import Added, Document, conflicts, customer, first_of

WAIT_SECONDS = 10.0  # for another process's transaction

_TABLES = """
CREATE TABLE IF NOT EXISTS predictions (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, prediction_id TEXT NOT NULL UNIQUE, use_case TEXT NOT NULL,
  model_run_id TEXT NOT NULL, created_at TEXT NOT NULL, door TEXT NOT NULL, record TEXT NOT NULL,
  prediction REAL NOT NULL, customer_id TEXT, outcome REAL, outcome_at TEXT, outcome_seq INTEGER);
CREATE INDEX IF NOT EXISTS by_outcome ON predictions (outcome_seq) WHERE outcome_seq IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_customer ON predictions (customer_id) WHERE customer_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS waiting (prediction_id TEXT PRIMARY KEY, outcome REAL NOT NULL, outcome_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rejected (id TEXT PRIMARY KEY, use_case TEXT NOT NULL, model_run_id TEXT NOT NULL,
  door TEXT NOT NULL, minute INTEGER NOT NULL, records INTEGER NOT NULL, reasons TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_minute ON rejected (use_case, minute);
"""
_INSERT = """INSERT INTO predictions
  (prediction_id, use_case, model_run_id, created_at, door, record, prediction, customer_id)
  VALUES (:prediction_id, :use_case, :model_run_id, :created_at, :door, :record, :prediction, :customer_id)"""
_SET_OUTCOME = f"""UPDATE predictions SET outcome = :outcome, outcome_at = :outcome_at, outcome_seq = {NEXT}
  WHERE prediction_id = :prediction_id AND (outcome_at IS NULL OR outcome_at < :outcome_at)"""  # noqa: S608 our own
_WAIT = """INSERT INTO waiting SELECT :prediction_id, :outcome, :outcome_at
  WHERE NOT EXISTS (SELECT 1 FROM predictions WHERE prediction_id = :prediction_id)
  ON CONFLICT DO UPDATE SET outcome = excluded.outcome, outcome_at = excluded.outcome_at
  WHERE outcome_at < excluded.outcome_at"""

_COUNT_REJECTED = """INSERT INTO rejected VALUES (:id, :use_case, :model_run_id, :door, :minute, :records, :reasons)
  ON CONFLICT DO UPDATE SET records = excluded.records, reasons = excluded.reasons WHERE excluded.records > records"""


class SqliteStore:
    """The store in one SQLite file (WAL): one shipper writes, others read. One thread at a time uses an instance."""

    def __init__(self, path: Path):
        """Open nothing yet: the first use does, and creates missing files and tables."""
        self._path = path
        self._opened: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def add(self, predictions: Sequence[Document]) -> Added:
        """Store what is new, in one transaction."""
        first = first_of(predictions)
        with self._transaction():
            known = self._records(list(first))
            new = [p for id_, p in first.items() if id_ not in known]
            self._db.executemany(_INSERT, map(_row, new))
            for outcome in self._take_waiting([p["prediction_id"] for p in new]):
                self._db.execute(_SET_OUTCOME, outcome)
        kept = {id_: p["record"] for id_, p in first.items()} | known
        return Added(len(new), conflicts(predictions, kept))

    def add_outcomes(self, outcomes: Sequence[Document]) -> None:
        with self._transaction():
            for outcome in outcomes:
                self._db.execute(_SET_OUTCOME, outcome)
                self._db.execute(_WAIT, outcome)

    def predictions_after(self, use_case: str, seq: int, limit: int) -> list[Document]:
        return self._read("use_case = ? AND seq > ? ORDER BY seq LIMIT ?", use_case, seq, limit)

    def outcomes_after(self, use_case: str, outcome_seq: int, limit: int) -> list[Document]:
        return self._read("use_case = ? AND outcome_seq > ? ORDER BY outcome_seq LIMIT ?", use_case, outcome_seq, limit)

    def waiting_outcomes(self) -> int:
        with self._available():
            return int(self._db.execute("SELECT count(*) FROM waiting").fetchone()[0])

    def add_rejected(self, counts: Sequence[Document]) -> None:
        """Store the highest count of each id, in one transaction."""
        with self._transaction():
            rows = [{**c, "reasons": orjson.dumps(c["reasons"]).decode()} for c in counts]
            self._db.executemany(_COUNT_REJECTED, rows)

    def rejected_since(self, use_case: str, minute: int) -> list[Document]:
        query = "SELECT * FROM rejected WHERE use_case = ? AND minute >= ?"
        with self._available():
            rows = self._db.execute(query, (use_case, minute)).fetchall()
        return [{**dict(row), "reasons": orjson.loads(row["reasons"])} for row in rows]

    def ids_of_customer(self, customer_id: str) -> list[str]:
        with self._available():
            found = self._db.execute("SELECT prediction_id FROM predictions WHERE customer_id = ?", [customer_id])
            return [row[0] for row in found]

    def remove(self, ids: Sequence[str]) -> None:
        """Remove predictions and waiting outcomes, overwriting what the file held of them."""
        with self._transaction():
            remove(self._db, ids)
        with self._available():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def forget(self, before: datetime, limit: int) -> int:
        """Remove what is old, in one transaction."""
        with self._transaction():
            return forget(self._db, before, limit)

    def _read(self, where: str, *values: object) -> list[Document]:
        with self._available():
            rows = self._db.execute(f"SELECT * FROM predictions WHERE {where}", values).fetchall()  # noqa: S608 our own
        return [{**dict(row), "record": orjson.loads(row["record"])} for row in rows]

    def _records(self, ids: list[str]) -> dict[str, Any]:
        query = "SELECT prediction_id, record FROM predictions WHERE prediction_id IN (SELECT value FROM json_each(?))"
        return {row[0]: orjson.loads(row[1]) for row in self._db.execute(query, [orjson.dumps(ids).decode()])}

    def _take_waiting(self, ids: list[str]) -> list[Document]:
        query = "DELETE FROM waiting WHERE prediction_id IN (SELECT value FROM json_each(?)) RETURNING *"
        return [dict(row) for row in self._db.execute(query, [orjson.dumps(ids).decode()]).fetchall()]

    @property
    def _db(self) -> sqlite3.Connection:
        if self._opened is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
            self._opened = db
            db.row_factory = sqlite3.Row
            _write_ahead(db)
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute("PRAGMA secure_delete=ON")  # what is removed is overwritten
            db.executescript(_TABLES + TABLES)
            self._file = _identity(self._path)
        return self._opened

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._available():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk may have ended it already
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _available(self) -> Iterator[None]:
        if _identity(self._path) != self._file:  # deleted or replaced: writes to the old file would be lost
            self.close()
        try:
            yield
        except (sqlite3.DatabaseError, OSError) as error:  # locked, full, damaged, or its folder gone
            self.close()
            if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
                raise
            raise StoreUnavailable(f"the prediction store is not responding: {error}") from error

    def close(self) -> None:
        """Close the file; the next use opens it again, or another one at the same path."""
        if self._opened is not None:
            self._opened.close()
        self._opened = None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _row(prediction: Document) -> dict[str, Any]:
    return {**prediction, "record": orjson.dumps(prediction["record"]).decode(), "customer_id": customer(prediction)}


def _write_ahead(db: sqlite3.Connection) -> None:
    """Set the journal's mode; SQLite does not wait by itself for another process that sets it on a new file."""
    ends, pause = monotonic() + WAIT_SECONDS, Event()
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > ends:
                raise
            pause.wait(0.01)
