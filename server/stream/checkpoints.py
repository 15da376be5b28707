"""How far each shard has been scored, in one SQLite file that one process at a time may hold."""

from __future__ import annotations

import fcntl
import os
import socket
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from scorehouse.errors import ScorehouseError

LAYOUT = 1  # of the file; an older one has no number and the same table
_TABLE = """CREATE TABLE IF NOT EXISTS checkpoints (
  stream TEXT, created TEXT, shard TEXT, sequence TEXT, ended INTEGER NOT NULL, PRIMARY KEY (stream, created, shard))"""
_READ = "SELECT shard, sequence, ended FROM checkpoints WHERE (stream, created) = (?, ?)"
_SAVE = """INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
  SET sequence = coalesce(excluded.sequence, sequence), ended = excluded.ended"""


class CheckpointsHeld(ScorehouseError):
    """Another process scores this stream with these checkpoints."""


class CheckpointsBroken(ScorehouseError):
    """They cannot be read or written, so nothing may be published."""


class StreamId(NamedTuple):
    """A stream by name and creation time: one that was deleted and created again is another stream."""

    name: str
    created: str


class Position(NamedTuple):
    """The last sequence number of a shard that is done (None for none yet), and whether the shard has ended."""

    sequence: str | None
    ended: bool


class Checkpoints:
    """The positions in `path`, held by a lock that dies with its process."""

    def __init__(self, path: Path):
        """Take the lock, then open or make the file.

        Raises:
            CheckpointsHeld: another process holds them; nothing was changed.
            CheckpointsBroken: the file cannot be written, is not a file of checkpoints, or a newer version wrote it.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _hold(path.with_suffix(".lock"), path)
        except OSError as error:
            raise _broken(path, error) from error
        try:
            self._db = _open(path)
        except BaseException:
            os.close(self._lock)
            raise

    def positions(self, stream: StreamId) -> dict[str, Position]:
        """Return the position of every shard of `stream` that has one."""
        rows = self._db.execute(_READ, stream)
        return {shard: Position(sequence, bool(ended)) for shard, sequence, ended in rows}

    def save(self, stream: StreamId, shard: str, position: Position) -> None:
        """Store that `shard` is done up to `position`; a sequence of None keeps the stored one."""
        self._db.execute(_SAVE, (*stream, shard, *position))

    def close(self) -> None:
        """Release the lock for another process."""
        self._db.close()
        os.close(self._lock)


def _open(path: Path) -> sqlite3.Connection:
    """Open or make the file. Raises CheckpointsBroken."""
    try:
        db = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version <= LAYOUT:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")  # a power cut may cost the last ones: they are scored again
            db.execute(_TABLE)
            db.execute(f"PRAGMA user_version={LAYOUT}")  # written each time: a full disk is found now
            return db
        db.close()
    except (OSError, sqlite3.Error) as error:
        raise _broken(path, error) from error
    raise CheckpointsBroken(
        f"the checkpoints {path} have layout {version}, and this code knows layouts up to {LAYOUT}: a newer version "
        "wrote them; run that version (git pull), or move the file away to score the stream from its oldest record"
    )


def _broken(path: Path, error: Exception) -> CheckpointsBroken:
    return CheckpointsBroken(f"the checkpoints {path} cannot be used: {error}")


def _hold(lock: Path, what: Path) -> int:
    file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(file, 200).decode() or "another process"
        os.close(file)
        raise CheckpointsHeld(
            f"{what} is in use by {holder}: only one scorer may read a stream (see docs/streams.md for scaling)"
        ) from error
    os.ftruncate(file, 0)
    os.write(file, f"process {os.getpid()} on {socket.gethostname()} since {datetime.now(UTC):%FT%TZ}".encode())
    return file
