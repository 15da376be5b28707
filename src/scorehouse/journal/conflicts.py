"""Prediction ids that came again with another record, which was not kept: the shipper finds them, doors report them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import orjson

from scorehouse.stores.store import Key

FILE = "conflicts.json"  # in the journal's folder
MOST = 1000  # the newest ones


def read_conflicts(folder: Path) -> list[Key]:
    """Return the conflicts that this machine's shipper found, the oldest first."""
    try:
        stored: list[tuple[str, str]] = orjson.loads((folder / FILE).read_bytes())
    except FileNotFoundError:
        return []
    return [Key(*key) for key in stored]


def add_conflicts(folder: Path, keys: Collection[Key]) -> None:
    """Remember further conflicts. The caller holds the journal's lock. Raises OSError."""
    known = [key for key in read_conflicts(folder) if key not in keys]
    _write(folder, [*known, *dict.fromkeys(keys)][-MOST:])


def erase_conflicts(folder: Path, keys: Collection[Key]) -> None:
    """Forget these conflicts. The caller holds the journal's lock. Raises OSError."""
    known = read_conflicts(folder)
    if kept := [key for key in known if key not in keys]:
        _write(folder, kept)
    elif known:
        (folder / FILE).unlink()


def _write(folder: Path, keys: list[Key]) -> None:
    partial = folder / f".{FILE}"
    partial.write_bytes(orjson.dumps([list(key) for key in keys]))
    partial.replace(folder / FILE)


class KnownConflicts:
    """The conflicts as a door reads them: it reads the file again only if the file's time has changed."""

    def __init__(self, folder: Path):
        """Read nothing yet."""
        self._folder = folder
        self._changed: int | None = None
        self._keys: frozenset[Key] = frozenset()

    def among(self, keys: Collection[Key]) -> list[Key]:
        """Return which of `keys` are known to conflict."""
        try:
            changed = (self._folder / FILE).stat().st_mtime_ns
        except OSError:
            return []
        if changed != self._changed:
            self._keys = frozenset(read_conflicts(self._folder))
            self._changed = changed
        return [key for key in keys if key in self._keys]
