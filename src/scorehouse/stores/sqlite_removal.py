"""Removes predictions from the SQLite store, within a transaction: one customer's, or all that are too old."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

import orjson

TABLES = """
CREATE INDEX IF NOT EXISTS by_time ON predictions (created_at);
CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
# Without NOT NULL the partial index is not used, and each outcome reads the whole table.
_LAST = "(SELECT coalesce(max(outcome_seq), 0) FROM predictions WHERE outcome_seq IS NOT NULL)"
# The next number of an outcome: one that a reader has seen is never used again, even if its prediction is gone.
NEXT = f"(max({_LAST}, (SELECT coalesce(max(value), 0) FROM numbers)) + 1)"  # noqa: S608 our own
_REMEMBER = f"""INSERT INTO numbers VALUES ('outcome_seq', {_LAST})
  ON CONFLICT DO UPDATE SET value = max(value, excluded.value)"""  # noqa: S608 our own
_OLD = """DELETE FROM predictions
  WHERE seq IN (SELECT seq FROM predictions WHERE created_at < ? ORDER BY created_at LIMIT ?)"""


def remove(db: sqlite3.Connection, ids: Sequence[str]) -> None:
    """Remove the predictions of `ids`, and the outcomes that wait for them."""
    given = [orjson.dumps(list(ids)).decode()]
    db.execute(_REMEMBER)
    db.execute("DELETE FROM predictions WHERE prediction_id IN (SELECT value FROM json_each(?))", given)
    db.execute("DELETE FROM waiting WHERE prediction_id IN (SELECT value FROM json_each(?))", given)


def forget(db: sqlite3.Connection, before: datetime, limit: int) -> int:
    """Remove up to `limit` old predictions, and all that is old beside them; return how many predictions."""
    db.execute(_REMEMBER)
    count = db.execute(_OLD, [before.isoformat(), limit]).rowcount
    db.execute("DELETE FROM waiting WHERE outcome_at < ?", [before.isoformat()])
    db.execute("DELETE FROM rejected WHERE minute < ?", [int(before.timestamp() // 60)])
    return count
