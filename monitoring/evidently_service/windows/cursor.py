"""How far the monitor has read, and each run's window, in small files from which a restart continues."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from scorehouse.stores.store import Document, Identity

log = logging.getLogger(__name__)
CURSOR = "cursor.json"
KEPT_RUNS = 50  # whose state is kept: an outcome may arrive long after its run's last prediction


@dataclass(frozen=True, slots=True)
class Cursor:
    """The store's numbers up to which predictions and outcomes were read, and the id of that store.

    The id is empty in a cursor of an older version, which is assumed to belong to the present store.
    """

    seq: int = 0
    outcome_seq: int = 0
    store_id: str = ""

    def is_of(self, store: Identity) -> bool:
        """Return whether it was read from this store, and the store was not set back to an earlier state since."""
        return self.store_id in ("", store.store_id) and self.seq <= store.last

    def of(self, store: Identity) -> Cursor:
        """Return this cursor if it is of this store, else the store's beginning."""
        return replace(self, store_id=store.store_id) if self.is_of(store) else Cursor(store_id=store.store_id)

    def after(self, predictions: Sequence[Document], outcomes: Sequence[Document]) -> Cursor:
        """Return the cursor behind what was read, in the store's order."""
        return Cursor(
            predictions[-1]["seq"] if predictions else self.seq,
            outcomes[-1]["outcome_seq"] if outcomes else self.outcome_seq,
            self.store_id,
        )


class MonitorFolder:
    """One use case's files. Each is replaced as a whole; runs are saved before the cursor that covers them.

    After a crash in between, the monitor reads records again that the windows already hold, which changes nothing.
    """

    def __init__(self, folder: Path):
        """Create the folder if it is missing."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def cursor(self) -> Cursor:
        """Return the saved cursor, or the beginning if there is none."""
        stored = self._read(CURSOR)
        return Cursor(**stored) if stored else Cursor()

    def save(self, cursor: Cursor) -> None:
        self._write(CURSOR, asdict(cursor))

    def run(self, run_id: str) -> dict[str, Any] | None:
        """Return a run's saved state, or None."""
        return self._read(f"run-{run_id}.json")

    def save_run(self, run_id: str, state: dict[str, Any]) -> None:
        """Save a run's state, and delete the states that have not changed for longest."""
        self._write(f"run-{run_id}.json", state)
        files = sorted(self._folder.glob("run-*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files[KEPT_RUNS:]:
            path.unlink()

    def run_ids(self) -> list[str]:
        """Return the runs whose state is saved."""
        return [path.stem.removeprefix("run-") for path in self._folder.glob("run-*.json")]

    def clear(self) -> None:
        """Delete all files."""
        for path in self._folder.glob("*.json"):
            path.unlink()

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            stored: dict[str, Any] = orjson.loads((self._folder / name).read_bytes())
        except FileNotFoundError:
            return None
        except orjson.JSONDecodeError:  # after a power cut: files are not synced, because all can be read again
            log.warning("%s is damaged and is ignored; its records are read again", name)
            return None
        return stored

    def _write(self, name: str, value: dict[str, Any]) -> None:
        partial = self._folder / f".{name}.{os.getpid()}"
        partial.write_bytes(orjson.dumps(value))
        partial.replace(self._folder / name)
