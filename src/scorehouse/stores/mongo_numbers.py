"""Numbers that only grow, for several writers to one MongoDB, and how far a reader may read them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import ReturnDocument
from pymongo.collection import Collection

OPEN_SECONDS = 120  # after which numbers that were taken and never used are given up


class Numbers:
    """One counter: a document `{_id, value, open: {writer: {above, at}}}`.

    A writer declares the numbers it takes before it writes, and a reader stops before numbers that are declared but
    not yet written. Otherwise a cursor that has read the numbers of a fast writer would skip the lower ones of a slow
    writer forever. The machines' clocks may differ by a minute; a call takes 30 s at most.
    """

    def __init__(self, counters: Collection[dict[str, Any]], name: str, clock: Callable[[], float]):
        """Count as `name` in the collection `counters`; `clock` gives seconds since 1970."""
        self._counters, self._name, self._clock = counters, name, clock

    @contextmanager
    def take(self, count: int) -> Iterator[int]:
        """Take `count` numbers and yield the first; readers stop before them until the block has ended well."""
        before, now, writer = self._found(), self._clock(), os.urandom(8).hex()
        change: dict[str, Any] = {
            "$inc": {"value": count},
            "$set": {f"open.{writer}": {"above": before["value"], "at": now}},
        }
        if lost := [w for w, taken in before["open"].items() if taken["at"] < now - OPEN_SECONDS]:
            change["$unset"] = {f"open.{w}": "" for w in lost}
        after: Any = self._counters.find_one_and_update(
            {"_id": self._name}, change, upsert=True, return_document=ReturnDocument.AFTER
        )
        yield int(after["value"]) - count + 1
        self._counters.update_one({"_id": self._name}, {"$unset": {f"open.{writer}": ""}})

    def settled(self) -> int:
        """Return the highest number up to which nothing is still to be written."""
        found, since = self._found(), self._clock() - OPEN_SECONDS
        return int(min([found["value"], *(t["above"] for t in found["open"].values() if t["at"] >= since)]))

    def last(self) -> int:
        """Return the highest number that was taken."""
        return int(self._found()["value"])

    def _found(self) -> dict[str, Any]:
        return {"value": 0, "open": {}, **(self._counters.find_one({"_id": self._name}) or {})}
