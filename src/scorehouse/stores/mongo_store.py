"""The prediction store in MongoDB: one document per prediction, in database `scorehouse`, collection `predictions`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pymongo
from pymongo import DeleteOne, MongoClient, UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError, ConfigurationError, InvalidURI, PyMongoError

from scorehouse.errors import SettingError, StoreUnavailable
from scorehouse.stores.mongo_documents import (
    counting,
    delete,
    document,
    duplicates,
    find,
    parts,
    plain,
    setting,
)
from scorehouse.stores.mongo_numbers import Numbers
from scorehouse.stores.store import Added, Document, conflicts, first_of

DATABASE, PREDICTIONS = "scorehouse", "predictions"
NUMBERS = ("seq", "outcome_seq")
SELECT_SECONDS, SOCKET_SECONDS, CALL_SECONDS = 3, 15, 30  # to find a server; for one answer; for one call of ours
AT_ONCE = 1000  # documents in one call
_SHOWN = {"_id": False, "by": False}
_NO_OUTCOME: Document = {"outcome": None, "outcome_at": None, "outcome_seq": None}


class MongoStore:
    """The store for several machines: any number of writers, any number of readers, each call bounded."""

    def __init__(self, address: str, clock: Callable[[], float] = time.time):
        """Connect to nothing yet. Raises SettingError if `address` is not an address."""
        options: dict[str, Any] = {
            "serverSelectionTimeoutMS": SELECT_SECONDS * 1000,
            "connectTimeoutMS": SELECT_SECONDS * 1000,
            "socketTimeoutMS": SOCKET_SECONDS * 1000,
            "waitQueueTimeoutMS": SELECT_SECONDS * 1000,
        }
        try:
            self._client = MongoClient[Document](address, connect=False, appname="scorehouse", tz_aware=True, **options)
        except (InvalidURI, ConfigurationError, ValueError):
            # Nothing of pymongo's reason: it quotes a part of a password that is not percent-encoded.
            raise SettingError(
                "MONGODB_ADDRESS is not a mongodb://… address: write mongodb://user:password@host:port, and "
                "percent-encode special characters of user and password"
            ) from None
        concern = WriteConcern(w="majority", j=True)  # a segment is deleted once its lines are here
        database = self._client.get_database(DATABASE, write_concern=concern)
        self._predictions, self._waiting = database[PREDICTIONS], database["waiting_outcomes"]
        self._rejected = database["rejected"]
        self._numbers = {name: Numbers(database["counters"], name, clock) for name in NUMBERS}
        self._indexed = False

    def add(self, predictions: Sequence[Document]) -> Added:
        predictions = [{**p, "record": plain(p["record"])} for p in predictions]
        first = first_of(predictions)
        known: dict[str, Any] = {}
        for part in parts(list(first.values()), AT_ONCE):
            with self._available():
                known |= self._add_part(part)
        kept = {id_: p["record"] for id_, p in first.items()} | known
        return Added(len(first) - len(known), conflicts(predictions, kept))

    def add_outcomes(self, outcomes: Sequence[Document]) -> None:
        """Set outcomes whose prediction is stored; the others wait, and are checked again in case it has just come."""
        latest: dict[str, Document] = {}
        for outcome in sorted(outcomes, key=lambda o: str(o["outcome_at"])):
            latest[outcome["prediction_id"]] = outcome
        for part in parts(list(latest.values()), AT_ONCE):
            with self._available():
                found = self._set(part)
                if late := [outcome for outcome in part if outcome["prediction_id"] not in found]:
                    self._wait(late)
                    self._join_waiting([outcome["prediction_id"] for outcome in late])

    def predictions_after(self, use_case: str, seq: int, limit: int) -> list[Document]:
        return self._read(use_case, "seq", seq, limit)

    def outcomes_after(self, use_case: str, outcome_seq: int, limit: int) -> list[Document]:
        return self._read(use_case, "outcome_seq", outcome_seq, limit)

    def waiting_outcomes(self) -> int:
        with self._available():
            return self._waiting.count_documents({})

    def add_rejected(self, counts: Sequence[Document]) -> None:
        with self._available():
            try:
                self._rejected.bulk_write([counting(count) for count in counts], ordered=False)
            except BulkWriteError as error:
                duplicates(error)  # a higher one is stored already

    def rejected_since(self, use_case: str, minute: int) -> list[Document]:
        with self._available():
            return list(self._rejected.find({"use_case": use_case, "minute": {"$gte": minute}}, {"_id": False}))

    def ids_of_customer(self, customer_id: str) -> list[str]:
        with self._available():
            return [p["_id"] for p in self._predictions.find({"customer_id": customer_id}, {"_id": True})]

    def remove(self, ids: Sequence[str]) -> None:
        for part in parts(ids, AT_ONCE):
            with self._available():
                delete(self._predictions, part)
                delete(self._waiting, part)

    def forget(self, before: datetime, limit: int) -> int:
        with self._available():
            old = self._predictions.find({"created_at": {"$lt": before}}, {"_id": True}).limit(limit)
            ids = [p["_id"] for p in old]
            delete(self._predictions, ids)
            self._waiting.delete_many({"outcome_at": {"$lt": before.isoformat()}})
            self._rejected.delete_many({"minute": {"$lt": int(before.timestamp() // 60)}})
        return len(ids)

    def close(self) -> None:
        self._client.close()

    def _read(self, use_case: str, number: str, after: int, limit: int) -> list[Document]:
        with self._available():
            bounds = {"$gt": after, "$lte": self._numbers[number].settled()}
            found = self._predictions.find({"use_case": use_case, number: bounds}, _SHOWN).sort(number).limit(limit)
            return [{**_NO_OUTCOME, **p, "created_at": p["created_at"].isoformat()} for p in found]

    def _add_part(self, new: Sequence[Document]) -> dict[str, Any]:
        """Insert what is new, join what waits for it, and return the records of the ids that were known, by id."""
        with self._numbers["seq"].take(len(new)) as seq:
            known = self._insert([document(p, seq + i) for i, p in enumerate(new)])
        self._join_waiting([p["prediction_id"] for p in new])
        return {p["_id"]: p["record"] for p in find(self._predictions, known, {"record": True})}

    def _insert(self, documents: list[Document]) -> list[str]:
        """Insert `documents` and return the ids that are there already."""
        try:
            self._predictions.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            return [documents[e["index"]]["_id"] for e in duplicates(error)]
        return []

    def _set(self, outcomes: Iterable[Document]) -> set[str]:
        """Set the outcomes that are newer than what is stored; return the ids whose prediction is stored."""
        given = {o["prediction_id"]: o for o in outcomes}
        stored = {p["_id"]: p.get("outcome_at", "") for p in find(self._predictions, given, {"outcome_at": True})}
        newer = [given[id_] for id_, at in stored.items() if at < given[id_]["outcome_at"]]
        if newer:
            with self._numbers["outcome_seq"].take(len(newer)) as number:
                self._predictions.bulk_write([setting(o, number + i) for i, o in enumerate(newer)], ordered=False)
        return set(stored)

    def _wait(self, outcomes: Iterable[Document]) -> None:
        updates = [
            UpdateOne(
                {"_id": o["prediction_id"], "outcome_at": {"$lt": o["outcome_at"]}},
                {"$set": {"outcome": o["outcome"], "outcome_at": o["outcome_at"]}},
                upsert=True,
            )
            for o in outcomes
        ]
        try:
            self._waiting.bulk_write(updates, ordered=False)
        except BulkWriteError as error:
            duplicates(error)  # a newer one waits already

    def _join_waiting(self, ids: list[str]) -> None:
        if self._waiting.find_one() is None:  # as nearly always
            return
        waiting = list(find(self._waiting, ids, {}))
        joined = self._set({**o, "prediction_id": o["_id"]} for o in waiting)
        done = [DeleteOne({"_id": o["_id"], "outcome_at": o["outcome_at"]}) for o in waiting if o["_id"] in joined]
        if done:
            self._waiting.bulk_write(done, ordered=False)

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            with pymongo.timeout(SELECT_SECONDS):  # in the next block the driver would look for a server for 30 s
                self._client.admin.command("ping")
            with pymongo.timeout(CALL_SECONDS):
                self._index()
                yield
        except PyMongoError as error:
            reason = str(error).partition(", Timeout:")[0]  # without the driver's description of the whole deployment
            raise StoreUnavailable(f"the prediction store is not responding: {reason}") from error

    def _index(self) -> None:
        if not self._indexed:
            for number in NUMBERS:
                self._predictions.create_index([(number, 1), ("use_case", 1)])
            self._predictions.create_index("customer_id")
            self._predictions.create_index("created_at")
            self._rejected.create_index([("minute", 1), ("use_case", 1)])
            self._indexed = True
