"""The layout of the MongoDB store, and how an older one becomes this one: one process at a time, safe to kill."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from time import monotonic
from typing import Any

import pymongo
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

from scorehouse.errors import StoreUnavailable
from scorehouse.stores.mongo_documents import document, duplicates, find, id_of, parts
from scorehouse.stores.store import Document, Key

log = logging.getLogger(__name__)
LAYOUT = 2  # the first one had no number: an `_id` was the prediction's id, without its use case
AT_ONCE = 1000  # documents in one step
DELETED = 50  # documents in one deletion: the tests' MongoDB compares each with every id of it
# For one step: an index over many documents takes long, and a search that is given up would begin again each time.
STEP_SECONDS = 600
ABANDONED_SECONDS = 120  # after which another process takes over a migration; the machines' clocks may differ
SILENT_SECONDS = 2.0  # after which a migration logs how far it is
_ABOUT, _LOCK = "layout", "migration"
_OLD: Document = {"test": {"$exists": False}}
_OLD_WAITING: Document = {"prediction_id": {"$exists": False}}
_BY_NUMBER, _BY_OUTCOME_NUMBER = ([(number, 1), ("use_case", 1)] for number in ("seq", "outcome_seq"))  # old indexes


class Layout:
    """The collection `layout`: {_id: "layout", version, store_id, use_cases}, and a lock while a process migrates."""

    def __init__(self, database: Database[Document], clock: Callable[[], float]):
        """`clock` gives seconds since 1970."""
        self._collection = database["layout"]
        self._predictions, self._waiting = database["predictions"], database["waiting_outcomes"]
        self._rejected, self._counters = database["rejected"], database["counters"]
        self._clock = clock
        self._me = os.urandom(8).hex()
        self._use_cases: set[str] = set()  # which the layout's document names

    def about(self) -> Document | None:
        """Return the layout's document, or None if the store is empty or has the first layout.

        Raises:
            StoreUnavailable: the layout is newer than this code.
        """
        found = self._collection.find_one({"_id": _ABOUT})
        if found and found["version"] > LAYOUT:
            raise StoreUnavailable(
                f"the prediction store has layout {found['version']}, and this code knows layouts up to {LAYOUT}: "
                "a newer version wrote it; run that version (git pull), or restore a backup that this version made"
            )
        return found

    def remember(self, **values: Any) -> None:
        """Set fields of the layout's document."""
        self._collection.update_one({"_id": _ABOUT}, {"$set": values})

    def add_use_cases(self, names: Iterable[str]) -> None:
        """Name use cases whose predictions are stored, so that nobody has to read all predictions to know."""
        if new := set(names) - self._use_cases:
            self._name_use_cases(new)
            self._use_cases |= new

    def _name_use_cases(self, names: Iterable[str]) -> None:
        self._collection.update_one({"_id": _ABOUT}, {"$addToSet": {"use_cases": {"$each": sorted(names)}}})

    def prepare(self) -> None:
        """Create the layout's document and the indexes; migrate what has the first layout.

        Raises:
            StoreUnavailable: another process migrates, or the layout is newer than this code.
        """
        with pymongo.timeout(STEP_SECONDS):
            about = self.about()
            self._use_cases = set(about["use_cases"] if about else ())
            for number in ("seq", "outcome_seq"):
                self._predictions.create_index([("use_case", 1), ("test", 1), (number, 1)])
            self._predictions.create_index("customer_id")
            self._predictions.create_index("created_at")
            self._rejected.create_index([("minute", 1), ("use_case", 1)])
            has_old = self._has_old(about)
        if has_old:
            self._migrate()
        if not about:
            store_id = os.urandom(16).hex()
            new = {"_id": _ABOUT, "version": LAYOUT, "store_id": store_id, "use_cases": sorted(self._use_cases)}
            # another process may have been faster
            with pymongo.timeout(STEP_SECONDS), suppress(DuplicateKeyError):
                self._collection.insert_one(new)

    def _has_old(self, about: Document | None) -> bool:
        """Return whether something is to be migrated: all, or what an older shipper on another machine wrote since."""
        if self._waiting.find_one(_OLD_WAITING, {"_id": True}):
            return True
        if not about:
            return self._predictions.find_one(_OLD, {"_id": True}) is not None
        # With its use case, the index finds one; without, all predictions would be read.
        asked = [{"use_case": name, "test": None} for name in about["use_cases"]]
        return any(self._predictions.find_one(one, {"_id": True}) for one in asked)

    def _migrate(self) -> None:
        began = monotonic()
        with pymongo.timeout(STEP_SECONDS):
            self._lock()
            # The first layout has it. Without it, each range of numbers would be searched for in all predictions.
            self._predictions.create_index(_BY_NUMBER)
        count = self._move(self._predictions, self._old_predictions, _OLD, _new_prediction)
        self._move(self._waiting, self._old_waiting, _OLD_WAITING, _new_waiting)
        with pymongo.timeout(STEP_SECONDS):
            for index in (_BY_NUMBER, _BY_OUTCOME_NUMBER):
                with suppress(OperationFailure):  # it is gone already
                    self._predictions.drop_index(index)
            self._use_cases |= set((self._collection.find_one({"_id": _LOCK}) or {}).get("use_cases", ()))
            self._name_use_cases(self._use_cases)
            self._collection.delete_one({"_id": _LOCK, "by": self._me})
        log.warning(
            "migrated the prediction store to layout %d: %d predictions in %.1f s", LAYOUT, count, monotonic() - began
        )

    def _old_predictions(self) -> Iterator[list[Document]]:
        """Yield the old predictions by ranges of their numbers, which an index finds; some ranges are empty."""
        start, last = 0, self._last_number()
        while True:
            numbers = {"$gt": start, "$lte": start + AT_ONCE}
            with pymongo.timeout(STEP_SECONDS):
                if start >= last and not self._predictions.find_one({"seq": {"$gt": start}, **_OLD}, {"_id": True}):
                    return
                found = list(self._predictions.find({"seq": numbers, **_OLD}))
            yield found
            start += AT_ONCE

    def _old_waiting(self) -> Iterator[list[Document]]:
        found = self._waiting.find(_OLD_WAITING, batch_size=AT_ONCE)
        while True:
            with pymongo.timeout(STEP_SECONDS):
                some = list(islice(found, AT_ONCE))
            if not some:
                return
            yield some

    def _last_number(self) -> int:
        with pymongo.timeout(STEP_SECONDS):
            return int((self._counters.find_one({"_id": "seq"}) or {"value": 0})["value"])

    def _move(
        self,
        collection: Collection[Document],
        batches: Callable[[], Iterator[list[Document]]],
        old: Document,
        new: Callable[[Document], Document],
    ) -> int:
        """Give every old document its new `_id`; return how many there were.

        A document whose new `_id` is another one's old `_id` is moved in a later pass, when that one has gone.
        """
        total = self._last_number()
        done, shown = 0, monotonic()
        moved = blocked = 1
        while moved and blocked:
            moved = blocked = 0
            for found in filter(None, batches()):
                with pymongo.timeout(STEP_SECONDS):
                    count = self._move_some(collection, found, old, new)
                moved += count
                blocked += len(found) - count
                if monotonic() - shown > SILENT_SECONDS:
                    shown = monotonic()
                    log.warning(
                        "migrating the prediction store to layout %d: %d of at most %d", LAYOUT, done + moved, total
                    )
            done += moved
        return done

    def _move_some(
        self,
        collection: Collection[Document],
        found: Sequence[Document],
        old: Document,
        new: Callable[[Document], Document],
    ) -> int:
        """Insert the new documents, then delete the old ones: after a kill in between, the next run deletes them."""
        made = [new(one) for one in found]
        self._use_cases |= {one["use_case"] for one in made if one["use_case"]}
        self._lock()
        blocked: set[str] = set()
        try:
            collection.insert_many(made, ordered=False)
        except BulkWriteError as error:
            there = [made[e["index"]]["_id"] for e in duplicates(error)]
            blocked = {d["_id"] for d in find(collection, there, {}) if all(name not in d for name in old)}
        ids = [one["_id"] for one, then in zip(found, made, strict=True) if then["_id"] not in blocked]
        for part in parts(ids, DELETED):
            collection.delete_many({"$or": [{"_id": id_} for id_ in part], **old})
        return len(ids)

    def _lock(self) -> None:
        """Take the lock of migrations, or keep it. Raises StoreUnavailable if another process has it."""
        now = self._clock()
        named = {"use_cases": {"$each": sorted(self._use_cases)}}  # also those that a killed process has moved
        mine = {"$set": {"by": self._me, "at": now}, "$addToSet": named}
        free = {"$or": [{"by": self._me}, {"at": {"$lt": now - ABANDONED_SECONDS}}]}
        try:
            self._collection.update_one({"_id": _LOCK, **free}, mine, upsert=True)
        except DuplicateKeyError as error:
            raise StoreUnavailable(
                "another process migrates the prediction store: it is available again when that has ended"
            ) from error


def _new_prediction(old: Document) -> Document:
    known = {name: old[name] for name in ("outcome", "outcome_at", "outcome_seq") if name in old}
    return document({**old, "created_at": old["created_at"].isoformat()}, old["seq"]) | known


def _new_waiting(old: Document) -> Document:
    key = Key("", old["_id"])
    return {**old, **key._asdict(), "_id": id_of(key), "sender": None, "other_outcomes": None}
