"""The tables of the SQLite store, and how an older layout becomes this one, within one transaction."""

from __future__ import annotations

import logging
import os
import sqlite3
from time import monotonic

from scorehouse.errors import StoreUnavailable

log = logging.getLogger(__name__)
LAYOUT = 2  # PRAGMA user_version; 0 is an empty file, or the tables from before there were numbers
AT_ONCE = 20_000  # rows that are copied between two looks at the clock
SILENT_SECONDS = 2.0  # after which a migration logs how far it is

_PREDICTIONS = """CREATE TABLE {name} (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, prediction_id TEXT NOT NULL, use_case TEXT NOT NULL,
  model_run_id TEXT NOT NULL, created_at TEXT NOT NULL, door TEXT NOT NULL, record TEXT NOT NULL,
  prediction REAL NOT NULL, customer_id TEXT, caller TEXT, test INTEGER NOT NULL DEFAULT 0,
  outcome REAL, outcome_at TEXT, outcome_seq INTEGER, sender TEXT, other_outcomes TEXT,
  UNIQUE (prediction_id, use_case))"""
_WAITING = """CREATE TABLE {name} (
  prediction_id TEXT NOT NULL, use_case TEXT NOT NULL, outcome REAL NOT NULL, outcome_at TEXT NOT NULL,
  sender TEXT, other_outcomes TEXT, PRIMARY KEY (prediction_id, use_case))"""
_REST = (
    "CREATE INDEX by_outcome ON predictions (outcome_seq) WHERE outcome_seq IS NOT NULL",
    "CREATE INDEX by_customer ON predictions (customer_id) WHERE customer_id IS NOT NULL",
    "CREATE INDEX by_time ON predictions (created_at)",
    # Ends with the row's seq, as every index does: readers by cursor never pass over other use cases or test records.
    "CREATE INDEX by_use_case ON predictions (use_case) WHERE test = 0",
    """CREATE TABLE IF NOT EXISTS rejected (id TEXT PRIMARY KEY, use_case TEXT NOT NULL, model_run_id TEXT NOT NULL,
      door TEXT NOT NULL, minute INTEGER NOT NULL, records INTEGER NOT NULL, reasons TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS by_minute ON rejected (use_case, minute)",
    "CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS report (id TEXT PRIMARY KEY, until TEXT NOT NULL, content TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
)
_OLD_COLUMNS = """seq, prediction_id, use_case, model_run_id, created_at, door, record, prediction, customer_id,
  outcome, outcome_at, outcome_seq"""


def prepare(db: sqlite3.Connection) -> None:
    """Create the tables in an empty file, or migrate older ones. A process that is killed meanwhile leaves the old.

    Raises:
        StoreUnavailable: the layout is newer than this code.
        sqlite3.OperationalError: another process migrates; try again later.
    """
    if _version(db) == LAYOUT:
        return
    db.execute("BEGIN IMMEDIATE")  # one process migrates, and the others see what it did
    try:
        if _version(db) != LAYOUT:
            _build(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > LAYOUT:
        raise StoreUnavailable(
            f"the prediction store has layout {version}, and this code knows layouts up to {LAYOUT}: "
            "a newer version wrote it; run that version (git pull), or restore a backup that this version made"
        )
    return version


def _build(db: sqlite3.Connection) -> None:
    if db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'predictions'").fetchone():
        _migrate(db)
    else:
        db.execute(_PREDICTIONS.format(name="predictions"))
        db.execute(_WAITING.format(name="waiting"))
    for statement in _REST:
        db.execute(statement)
    db.execute("INSERT INTO about VALUES ('store_id', ?)", [os.urandom(16).hex()])
    db.execute(f"PRAGMA user_version = {LAYOUT}")


def _migrate(db: sqlite3.Connection) -> None:
    """Copy the first layout's tables, whose ids were unique without their use case: SQLite cannot drop that rule."""
    began = shown = monotonic()
    last, rows = db.execute("SELECT coalesce(max(seq), 0), count(*) FROM predictions").fetchone()
    db.execute(_PREDICTIONS.format(name="migrated"))
    for start in range(0, last, AT_ONCE):
        if monotonic() - shown > SILENT_SECONDS:
            shown = monotonic()
            log.warning("migrating the prediction store to layout %d: %.0f %% done", LAYOUT, 100 * start / last)
        db.execute(
            f"INSERT INTO migrated ({_OLD_COLUMNS}) SELECT {_OLD_COLUMNS} FROM predictions "  # noqa: S608 our own
            "WHERE seq > ? AND seq <= ?",
            [start, start + AT_ONCE],
        )
    db.execute("DELETE FROM sqlite_sequence WHERE name = 'migrated'")
    db.execute("INSERT INTO sqlite_sequence SELECT 'migrated', seq FROM sqlite_sequence WHERE name = 'predictions'")
    db.execute("DROP TABLE predictions")
    db.execute("ALTER TABLE migrated RENAME TO predictions")
    db.execute(_WAITING.format(name="migrated"))
    db.execute("INSERT INTO migrated SELECT prediction_id, '', outcome, outcome_at, NULL, NULL FROM waiting")
    db.execute("DROP TABLE waiting")
    db.execute("ALTER TABLE migrated RENAME TO waiting")
    log.warning(
        "migrated the prediction store to layout %d: %d predictions in %.1f s", LAYOUT, rows, monotonic() - began
    )
