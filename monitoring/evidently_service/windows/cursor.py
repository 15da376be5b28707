"""How far the monitor has read, and each run's window, in small files that a restart continues from."""

from __future__ import annotations

import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

log = logging.getLogger(__name__)
CURSOR = "cursor.json"
KEPT = 50  # runs whose state is kept: an outcome may come long after its run's last prediction


@dataclass(frozen=True, slots=True)
class Cursor:
    """The store's numbers up to which predictions and outcomes were read."""

    seq: int = 0
    outcome_seq: int = 0


class MonitorFolder:
    """One use case's files. Each is replaced whole; runs are saved before the cursor that says they were read.

    A crash in between makes the monitor read again what the windows know already, which changes nothing.
    """

    def __init__(self, folder: Path):
        """Make the folder where it is missing."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def cursor(self) -> Cursor:
        """Return the saved cursor; the beginning where there is none."""
        found = self._read(CURSOR)
        return Cursor(**found) if found else Cursor()

    def save(self, cursor: Cursor) -> None:
        """Save the cursor."""
        self._write(CURSOR, asdict(cursor))

    def run(self, run_id: str) -> dict[str, Any] | None:
        """Return what was saved of a run, or None."""
        return self._read(f"run-{run_id}.json")

    def save_run(self, run_id: str, state: dict[str, Any]) -> None:
        """Save a run, and forget those that had no traffic for longest."""
        self._write(f"run-{run_id}.json", state)
        files = sorted(self._folder.glob("run-*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files[KEPT:]:
            path.unlink()

    def run_ids(self) -> list[str]:
        """Return the runs that were saved."""
        return [path.stem.removeprefix("run-") for path in self._folder.glob("run-*.json")]

    def clear(self) -> None:
        """Forget everything."""
        for path in self._folder.glob("*.json"):
            path.unlink()

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = orjson.loads((self._folder / name).read_bytes())
        except FileNotFoundError:
            return None
        except orjson.JSONDecodeError:  # a power cut: nothing is synced, for all of it can be read again
            log.warning("%s is damaged and is left out", name)
            return None
        return found

    def _write(self, name: str, value: dict[str, Any]) -> None:
        partial = self._folder / f".{name}.{os.getpid()}"
        partial.write_bytes(orjson.dumps(value))
        partial.replace(self._folder / name)
