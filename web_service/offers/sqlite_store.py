"""Customers, attempts and offers in one SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import orjson

from scorehouse.errors import StoreUnavailable
from web_service.offers.store import LAYOUT, Attempts, Document, Offer, require_known

WAIT_SECONDS = 10.0  # for another process's transaction
_TABLES = """
CREATE TABLE IF NOT EXISTS customers (id TEXT PRIMARY KEY, made_up INTEGER NOT NULL, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tries (id TEXT PRIMARY KEY, failures INTEGER NOT NULL, locked_until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS offers (prediction_id TEXT PRIMARY KEY, visitor TEXT NOT NULL, asked_at REAL NOT NULL,
  record TEXT NOT NULL, sent_at REAL, answered_at REAL, premium REAL, refused TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS by_visitor ON offers (visitor, asked_at);
CREATE INDEX IF NOT EXISTS without_answer ON offers (asked_at) WHERE answered_at IS NULL;
"""


class SqliteStore:
    """One connection that all threads of a process share, one at a time."""

    def __init__(self, path: Path):
        """Open nothing yet: the first use opens the file, and creates file and tables if they are missing."""
        self._path = path
        self._lock = Lock()
        self._opened: sqlite3.Connection | None = None

    def customer(self, id_: str) -> Document | None:
        found = self._run("SELECT record FROM customers WHERE id = ?", id_)
        return orjson.loads(found[0][0]) if found else None

    def add_customers(self, customers: Sequence[Document]) -> None:
        rows = [(c["ID"], c.get("made_up", False), orjson.dumps(c).decode()) for c in customers]
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO customers VALUES (?, ?, ?)", rows)

    def has_customers(self, made_up: bool) -> bool:
        return bool(self._run("SELECT 1 FROM customers WHERE made_up = ? LIMIT 1", made_up))

    def remove_made_up(self) -> None:
        self._run("DELETE FROM customers WHERE made_up")

    def made_up_customer(self) -> Document | None:
        found = self._run("SELECT record FROM customers WHERE made_up ORDER BY rowid LIMIT 1")
        return orjson.loads(found[0][0]) if found else None

    def attempts(self, id_: str) -> Attempts:
        found = self._run("SELECT failures, locked_until FROM tries WHERE id = ?", id_)
        return Attempts(*found[0]) if found else Attempts()

    def replace_attempts(self, id_: str, known: Attempts, new: Attempts) -> bool:
        with self._transaction() as db:
            row = (id_, new.failures, new.locked_until)
            if known.failures == 0:
                return db.execute("INSERT OR IGNORE INTO tries VALUES (?, ?, ?)", row).rowcount == 1
            update = "UPDATE tries SET failures = ?, locked_until = ? WHERE id = ? AND failures = ?"
            return db.execute(update, (new.failures, new.locked_until, id_, known.failures)).rowcount == 1

    def clear_attempts(self, id_: str) -> None:
        self._run("DELETE FROM tries WHERE id = ?", id_)

    def add_offer(self, offer: Offer) -> None:
        record = orjson.dumps(offer.record).decode()
        insert = "INSERT INTO offers (prediction_id, visitor, asked_at, record) VALUES (?, ?, ?, ?)"
        self._run(insert, offer.prediction_id, offer.visitor, offer.asked_at, record)

    def offers_of(self, visitor: str) -> list[Offer]:
        return self._offers("WHERE visitor = ? ORDER BY asked_at DESC", visitor)

    def unanswered(self) -> list[Offer]:
        return self._offers("WHERE answered_at IS NULL ORDER BY asked_at")

    def mark_sent(self, ids: Sequence[str], at: float) -> None:
        with self._transaction() as db:
            db.executemany("UPDATE offers SET sent_at = ? WHERE prediction_id = ?", [(at, id_) for id_ in ids])

    def set_answer(self, prediction_id: str, premium: float | None, refused: str, at: float) -> None:
        update = "UPDATE offers SET premium = ?, refused = ?, answered_at = ? WHERE prediction_id = ?"
        self._run(f"{update} AND answered_at IS NULL", premium, refused, at, prediction_id)

    def forget(self, before: float) -> None:
        self._run("DELETE FROM offers WHERE asked_at < ?", before)
        self._run("DELETE FROM tries WHERE locked_until < ?", before)

    def close(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    def _offers(self, which: str, *values: Any) -> list[Offer]:
        rows = self._run(f"SELECT * FROM offers {which}", *values)  # noqa: S608 - `which` is written above
        return [Offer(**{**dict(row), "record": orjson.loads(row["record"])}) for row in rows]

    def _run(self, statement: str, *values: Any) -> list[Any]:
        with self._transaction() as db:
            return db.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._opened is None:
                    self._opened = self._open()
                with self._opened:
                    yield self._opened
            except (sqlite3.DatabaseError, OSError) as error:
                raise StoreUnavailable(f"the customer store is not responding: {error}") from error

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=WAIT_SECONDS, check_same_thread=False)
        db.row_factory = sqlite3.Row
        try:
            require_known(int(db.execute("PRAGMA user_version").fetchone()[0]))
            self._path.chmod(0o600)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA secure_delete=ON")  # what is removed is overwritten
            db.executescript(f"{_TABLES}PRAGMA user_version = {LAYOUT};")
        except BaseException:
            db.close()
            raise
        return db
