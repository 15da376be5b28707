"""Takes one customer's predictions and outcomes out of the journal and the store, for good."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import orjson

from scorehouse.journal.journal import segments
from scorehouse.stores.store import Document, Store, customer

LOCK = "erasing.lock"  # in the journal's folder: the shipper holds it from its reading a line until the line is stored
ERASED = b'{"kind":"erased"}'  # what stands in the place of an erased line, filled up with blanks to its length


class Erased(NamedTuple):
    """How many predictions were removed from the store, and how many lines from the journal."""

    stored: int
    lines: int


def erase(folder: Path, store: Store, customer_id: str) -> Erased:
    """Remove what the journal in `folder` and `store` hold of a customer; done again, it changes nothing.

    Raises:
        StoreUnavailable: do it again later; until then part of it may still be stored.
    """
    with hold_journal(folder):
        found = {path: _lines(path) for path in segments(folder)}
        known = set(store.ids_of_customer(customer_id))
        ids = known | {
            line["prediction_id"]
            for lines in found.values()
            for _, _, line in lines
            if line.get("kind") == "prediction" and customer(line) == customer_id
        }
        count = sum(_blank(path, lines, ids) for path, lines in found.items())
        store.remove(sorted(ids))
    return Erased(len(known), count)


@contextmanager
def hold_journal(folder: Path) -> Iterator[None]:
    """Hold the journal's lines where they are: what is in the journal is not on its way to the store meanwhile."""
    with (folder / LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lines(path: Path) -> list[tuple[int, int, Document]]:
    """Return where each finished line of a segment begins, its length without the newline, and what it says."""
    found, start = [], 0
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            said = orjson.loads(line)
        except orjson.JSONDecodeError:
            said = None  # no door wrote it: the shipper counts it
        if isinstance(said, dict):
            found.append((start, len(line), said))
        start += len(line) + 1
    return found


def _blank(path: Path, lines: list[tuple[int, int, Document]], ids: set[str]) -> int:
    """Overwrite, each in its place, the lines of these predictions; their writer may go on appending behind them."""
    doomed = [(at, size) for at, size, line in lines if line.get("prediction_id") in ids]
    if doomed:
        file = os.open(path, os.O_WRONLY)  # not O_APPEND, under which Linux writes at the end whatever the place
        try:
            for at, size in doomed:
                os.pwrite(file, ERASED.ljust(size), at)
            os.fsync(file)
        finally:
            os.close(file)
    return len(doomed)
