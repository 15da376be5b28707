"""The prediction store in one SQLite file."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import orjson

from scorehouse.errors import StoreUnavailable
from scorehouse.stores.outcomes import FIELDS, NONE_YET, outcomes_in, with_outcomes
from scorehouse.stores.sqlite_layout import prepare
from scorehouse.stores.sqlite_removal import KEYED, NEXT, as_json, drop_waiting, forget, remove
from scorehouse.stores.store import Added, Ages, Document, Identity, Key, conflicts, customer, first_of, key_of

WAIT_SECONDS = 10.0  # for another process's transaction

_INSERT = """INSERT INTO predictions
  (prediction_id, use_case, model_run_id, created_at, door, record, prediction, customer_id, caller, test)
  VALUES (:prediction_id, :use_case, :model_run_id, :created_at, :door, :record, :prediction, :customer_id, :caller,
  :test)"""
_FIELDS = ", ".join(FIELDS)
_SET_FIELDS = ", ".join(f"{name} = :{name}" for name in FIELDS)
_KEYED_BY_NAME = "prediction_id = :prediction_id AND use_case = :use_case"
_SET_OUTCOME = f"UPDATE predictions SET {_SET_FIELDS}, outcome_seq = {NEXT} WHERE {_KEYED_BY_NAME}"  # noqa: S608 our own
_SET_OTHERS = f"UPDATE predictions SET {_SET_FIELDS} WHERE {_KEYED_BY_NAME}"  # noqa: S608 our own
_WAIT = f"""INSERT OR REPLACE INTO waiting (prediction_id, use_case, {_FIELDS})
  VALUES (:prediction_id, :use_case, {", ".join(f":{name}" for name in FIELDS)})"""  # noqa: S608 our own

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
            new = [key for key in first if key not in known]
            self._db.executemany(_INSERT, [_row(first[key]) for key in new])
            self._join_waiting(new)
        kept = {key: p["record"] for key, p in first.items()} | known
        return Added(len(new), conflicts(predictions, kept))

    def add_outcomes(self, outcomes: Sequence[Document]) -> list[Key]:
        with self._transaction():
            return self._set_outcomes(outcomes)

    def predictions_after(self, use_case: str, seq: int, limit: int) -> list[Document]:
        return self._read("use_case = ? AND test = 0 AND seq > ? ORDER BY seq LIMIT ?", use_case, seq, limit)

    def outcomes_after(self, use_case: str, outcome_seq: int, limit: int) -> list[Document]:
        where = "use_case = ? AND +test = 0 AND outcome_seq > ? ORDER BY outcome_seq LIMIT ?"
        return self._read(where, use_case, outcome_seq, limit)

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

    def keys_of_customer(self, customer_id: str) -> list[Key]:
        query = "SELECT use_case, prediction_id FROM predictions WHERE customer_id = ?"
        with self._available():
            return [Key(*row) for row in self._db.execute(query, [customer_id])]

    def remove(self, keys: Sequence[Key]) -> None:
        """Remove predictions and waiting outcomes, overwriting what the file held of them."""
        with self._transaction():
            remove(self._db, keys)
        with self._available():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def forget(self, before: datetime, limit: int) -> int:
        """Remove what is old, in one transaction."""
        with self._transaction():
            return forget(self._db, before, limit)

    def drop_waiting(self, before: datetime, most: int) -> int:
        """Remove what waited too long, and what is too much, in one transaction."""
        with self._transaction():
            return drop_waiting(self._db, before, most)

    def ages(self, before: datetime) -> Ages:
        query = "SELECT count(*), coalesce(sum(created_at < ?), 0), max(created_at) FROM predictions"
        with self._available():
            records, old, newest = self._db.execute(query, [before.isoformat()]).fetchone()
        return Ages(records, old, datetime.fromisoformat(newest) if newest else None)

    def retained_at(self) -> float | None:
        with self._available():
            found = self._about("retained_at")
        return None if found is None else float(found)

    def set_retained_at(self, at: float) -> None:
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO about VALUES ('retained_at', ?)", [str(at)])

    def identity(self) -> Identity:
        with self._available():
            last = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'predictions'").fetchone()
            return Identity(str(self._about("store_id")), last[0] if last else 0)

    def _about(self, name: str) -> str | None:
        found = self._db.execute("SELECT value FROM about WHERE name = ?", [name]).fetchone()
        return None if found is None else str(found[0])

    def _read(self, where: str, *values: object) -> list[Document]:
        with self._available():
            rows = self._db.execute(f"SELECT * FROM predictions WHERE {where}", values).fetchall()  # noqa: S608 our own
        return [_document(row) for row in rows]

    def _records(self, keys: Sequence[Key]) -> dict[Key, Any]:
        query = f"SELECT use_case, prediction_id, record FROM predictions WHERE {KEYED}"  # noqa: S608 our own
        return {Key(row[0], row[1]): orjson.loads(row[2]) for row in self._db.execute(query, [as_json(keys)])}

    def _set_outcomes(self, outcomes: Iterable[Document]) -> list[Key]:
        """Set what has a prediction, keep what waits for one, and return the keys about which senders disagree."""
        given: dict[Key, list[Document]] = defaultdict(list)
        for outcome in outcomes:
            given[self._resolved(key_of(outcome))].append(outcome)
        stored, waiting = (self._outcome_fields(table, list(given)) for table in ("predictions", "waiting"))
        contradicted = []
        for key, new in given.items():
            known = stored.get(key) or waiting.get(key) or NONE_YET
            fields, contradicts = with_outcomes(known, new)
            if fields is not known:
                sets = _SET_OUTCOME if fields["outcome_at"] != known["outcome_at"] else _SET_OTHERS
                self._db.execute(sets if key in stored else _WAIT, {**key._asdict(), **_columns(fields)})
            if contradicts:
                contradicted.append(key)
        return contradicted

    def _resolved(self, key: Key) -> Key:
        """Return the key of an outcome; one without a use case gets it if exactly one prediction has its id."""
        if key.use_case:
            return key
        query = "SELECT use_case FROM predictions WHERE prediction_id = ? LIMIT 2"
        found = self._db.execute(query, [key.prediction_id]).fetchall()
        return Key(found[0][0], key.prediction_id) if len(found) == 1 else key

    def _outcome_fields(self, table: str, keys: Sequence[Key]) -> dict[Key, Document]:
        query = f"SELECT use_case, prediction_id, {_FIELDS} FROM {table} WHERE {KEYED}"  # noqa: S608 our own
        return {Key(row[0], row[1]): _fields(row) for row in self._db.execute(query, [as_json(keys)])}

    def _join_waiting(self, new: Sequence[Key]) -> None:
        """Set the outcomes that waited for predictions that are now stored."""
        keys = [*new, *(Key("", key.prediction_id) for key in new)]
        query = f"DELETE FROM waiting WHERE {KEYED} RETURNING *"  # noqa: S608 our own
        rows = self._db.execute(query, [as_json(keys)]).fetchall()
        about = [(Key(row["use_case"], row["prediction_id"]), _fields(row)) for row in rows]
        self._set_outcomes({**key._asdict(), **one} for key, fields in about for one in outcomes_in(fields))

    @property
    def _db(self) -> sqlite3.Connection:
        if self._opened is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                db.row_factory = sqlite3.Row
                _write_ahead(db)
                db.execute("PRAGMA synchronous=NORMAL")
                db.execute("PRAGMA secure_delete=ON")  # what is removed is overwritten
                prepare(db)
            except BaseException:
                db.close()
                raise
            self._opened = db
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
    return {
        "caller": None,
        **prediction,
        "record": orjson.dumps(prediction["record"]).decode(),
        "prediction": _prediction_column(prediction["prediction"]),
        "customer_id": customer(prediction),
        "test": bool(prediction.get("test")),
    }


def _prediction_column(prediction: Any) -> Any:
    """Return a prediction as its column has it: chances of several classes are JSON, which SQLite keeps as text."""
    return orjson.dumps(prediction).decode() if isinstance(prediction, list) else prediction


def _document(row: sqlite3.Row) -> Document:
    document = {**dict(row), **_fields(row), "record": orjson.loads(row["record"]), "test": bool(row["test"])}
    if isinstance(row["prediction"], str):
        document["prediction"] = orjson.loads(row["prediction"])
    return document


def _fields(row: sqlite3.Row) -> Document:
    others = row["other_outcomes"]
    return {**{name: row[name] for name in FIELDS}, "other_outcomes": orjson.loads(others) if others else None}


def _columns(fields: Mapping[str, Any]) -> dict[str, Any]:
    others = fields["other_outcomes"]
    return {**fields, "other_outcomes": orjson.dumps(others).decode() if others else None}


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
