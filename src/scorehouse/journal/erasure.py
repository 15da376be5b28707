"""Removes one customer's predictions and outcomes from the journal, the store and the challengers' logs, for good."""

from __future__ import annotations

import fcntl
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from scorehouse.journal.conflicts import erase_conflicts
from scorehouse.journal.journal import segments
from scorehouse.journal.lines import blank, lines_of
from scorehouse.journal.shadow import erase_shadow
from scorehouse.stores.store import Document, Key, Store, customer, key_of

LOCK = "erasing.lock"  # in the journal's folder: the shipper holds it from reading a line until the line is stored


class Erased(NamedTuple):
    """How many predictions were removed from the store, and lines from the journal and the challengers' logs."""

    stored: int
    lines: int
    shadow_lines: int = 0


def erase(folder: Path, store: Store, customer_id: str, monitor_folder: Path) -> Erased:
    """Remove a customer from the journal in `folder`, from `store` and from the challengers' logs.

    A second call changes nothing.

    Raises:
        StoreUnavailable: try again later; until then part of the data may still be stored.
    """
    with hold_journal(folder):
        found = {path: lines_of(path) for path in segments(folder)}
        known = set(store.keys_of_customer(customer_id))
        keys = known | {
            key_of(line.content)
            for lines in found.values()
            for line in lines
            if line.content.get("kind") == "prediction" and customer(line.content) == customer_id
        }
        ids = {key.prediction_id for key in keys}
        count = sum(
            blank(path, [line for line in lines if _is_about(line.content, keys, ids)]) for path, lines in found.items()
        )
        store.remove(sorted(keys))
        erase_conflicts(folder, keys)
        shadow_lines = erase_shadow(monitor_folder, keys)
    return Erased(len(known), count, shadow_lines)


@contextmanager
def hold_journal(folder: Path) -> Iterator[None]:
    """Keep the shipper from moving lines to the store meanwhile."""
    with (folder / LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_about(line: Document, keys: Collection[Key], ids: Collection[str]) -> bool:
    """Return whether a line is a prediction or outcome of `keys`; an older door's outcome names only the id."""
    if "prediction_id" not in line:
        return False
    key = key_of(line)
    return key in keys or (not key.use_case and key.prediction_id in ids)
