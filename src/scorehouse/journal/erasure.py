"""Removes one customer's predictions and outcomes from the journal and the store, for good."""

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

LOCK = "erasing.lock"  # in the journal's folder: the shipper holds it from reading a line until the line is stored
ERASED = b'{"kind":"erased"}'  # overwrites an erased line, padded with blanks to its length


class Erased(NamedTuple):
    """How many predictions were removed from the store, and how many lines from the journal."""

    stored: int
    lines: int


def erase(folder: Path, store: Store, customer_id: str) -> Erased:
    """Remove a customer from the journal in `folder` and from `store`; a second call changes nothing.

    Raises:
        StoreUnavailable: try again later; until then part of the data may still be stored.
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
    """Keep the shipper from moving lines to the store meanwhile."""
    with (folder / LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lines(path: Path) -> list[tuple[int, int, Document]]:
    """Return the offset of each finished line of a segment, its length without the newline, and its content."""
    found, start = [], 0
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            said = orjson.loads(line)
        except orjson.JSONDecodeError:
            said = None  # no door wrote this line, and the shipper counts it
        if isinstance(said, dict):
            found.append((start, len(line), said))
        start += len(line) + 1
    return found


def _blank(path: Path, lines: list[tuple[int, int, Document]], ids: set[str]) -> int:
    """Overwrite the lines of these predictions in place; their writer may go on appending."""
    doomed = [(at, size) for at, size, line in lines if line.get("prediction_id") in ids]
    if doomed:
        file = os.open(path, os.O_WRONLY)  # not O_APPEND, with which Linux ignores the offset
        try:
            for at, size in doomed:
                os.pwrite(file, ERASED.ljust(size), at)
            os.fsync(file)
        finally:
            os.close(file)
    return len(doomed)
