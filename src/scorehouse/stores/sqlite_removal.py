"""Removes predictions and waiting outcomes from the SQLite store, within a transaction of the caller."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

import orjson

from scorehouse.stores.store import Key

# Without NOT NULL the partial index is not used, and each outcome reads the whole table.
_LAST = "(SELECT coalesce(max(outcome_seq), 0) FROM predictions WHERE outcome_seq IS NOT NULL)"
# The next number of an outcome: one that a reader has seen is never used again, even if its prediction is gone.
NEXT = f"(max({_LAST}, (SELECT coalesce(max(value), 0) FROM numbers)) + 1)"  # noqa: S608 our own
# Rows whose key is in a JSON list of [use_case, prediction_id].
KEYED = """(prediction_id, use_case) IN
  (SELECT json_extract(value, '$[1]'), json_extract(value, '$[0]') FROM json_each(?))"""
_REMEMBER = f"""INSERT INTO numbers VALUES ('outcome_seq', {_LAST})
  ON CONFLICT DO UPDATE SET value = max(value, excluded.value)"""  # noqa: S608 our own
_OLD = """DELETE FROM predictions
  WHERE seq IN (SELECT seq FROM predictions WHERE created_at < ? ORDER BY created_at LIMIT ?)"""
_MANY = "SELECT sender, count(*) AS outcomes FROM waiting GROUP BY sender HAVING outcomes > ?"
_OLDEST = """DELETE FROM waiting WHERE rowid IN
  (SELECT rowid FROM waiting WHERE sender IS ? ORDER BY outcome_at LIMIT ?)"""


def as_json(keys: Sequence[Key]) -> str:
    """Return keys as `KEYED` takes them."""
    return orjson.dumps([list(key) for key in keys]).decode()


def remove(db: sqlite3.Connection, keys: Sequence[Key]) -> None:
    """Remove the predictions of `keys`, and the outcomes that wait for them, with or without their use case."""
    db.execute(_REMEMBER)
    db.execute(f"DELETE FROM predictions WHERE {KEYED}", [as_json(keys)])  # noqa: S608 our own
    waiting = [*keys, *(Key("", key.prediction_id) for key in keys)]
    db.execute(f"DELETE FROM waiting WHERE {KEYED}", [as_json(waiting)])  # noqa: S608 our own


def forget(db: sqlite3.Connection, before: datetime, limit: int) -> int:
    """Remove up to `limit` old predictions, and all that is old beside them; return how many predictions."""
    db.execute(_REMEMBER)
    count = db.execute(_OLD, [before.isoformat(), limit]).rowcount
    db.execute("DELETE FROM waiting WHERE outcome_at < ?", [before.isoformat()])
    db.execute("DELETE FROM rejected WHERE minute < ?", [int(before.timestamp() // 60)])
    return count


def drop_waiting(db: sqlite3.Connection, before: datetime, most: int) -> int:
    """Remove waiting outcomes that are old, or more than `most` of one sender; return how many."""
    count = db.execute("DELETE FROM waiting WHERE outcome_at < ?", [before.isoformat()]).rowcount
    for sender, outcomes in db.execute(_MANY, [most]).fetchall():
        count += db.execute(_OLDEST, [sender, outcomes - most]).rowcount
    return count
