"""The prediction store in MongoDB: one document per prediction, in database `scorehouse`, collection `predictions`."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pymongo
from pymongo import DeleteOne, InsertOne, MongoClient, UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError, ConfigurationError, InvalidURI, PyMongoError

from scorehouse.errors import SettingError, StoreUnavailable
from scorehouse.stores.mongo_documents import (
    CHANGES,
    NO_OUTCOME,
    SHOWN,
    counting,
    delete,
    document,
    duplicates,
    fields_of,
    find,
    id_of,
    parts,
    plain,
    setting,
)
from scorehouse.stores.mongo_layout import Layout
from scorehouse.stores.mongo_numbers import Numbers
from scorehouse.stores.outcomes import FIELDS, outcomes_in, with_outcomes
from scorehouse.stores.store import Added, Ages, Document, Identity, Key, conflicts, first_of, key_of

DATABASE, PREDICTIONS = "scorehouse", "predictions"
NUMBERS = ("seq", "outcome_seq")
SELECT_SECONDS, SOCKET_SECONDS, CALL_SECONDS = 3, 15, 30  # to find a server; for one answer; for one call of ours
AT_ONCE = 1000  # documents in one call
MOST_TRIES = 20  # to change what other writers change at the same time
_OUTCOME_SHOWN = dict.fromkeys(("use_case", "prediction_id", CHANGES, *FIELDS), True)
Given = dict[Key, list[Document]]  # outcomes by key


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
        self._layout = Layout(database, clock)
        self._prepared = False

    def add(self, predictions: Sequence[Document]) -> Added:
        predictions = [{**p, "record": plain(p["record"])} for p in predictions]
        first = first_of(predictions)
        known: dict[Key, Any] = {}
        for part in parts(list(first.values()), AT_ONCE):
            with self._available():
                known |= self._add_part(part)
        kept = {key: p["record"] for key, p in first.items()} | known
        return Added(len(first) - len(known), conflicts(predictions, kept))

    def add_outcomes(self, outcomes: Sequence[Document]) -> list[Key]:
        """Set outcomes whose prediction is stored; the others wait, and are checked again in case it has just come."""
        contradicted: list[Key] = []
        for part in parts(outcomes, AT_ONCE):
            with self._available():
                given = self._by_key(part)
                stored = self._stored_keys(given)  # before: a prediction that comes in between is late, too
                contradicted += self._set(given)
                if late := {key: new for key, new in given.items() if key not in stored}:
                    contradicted += self._wait(late)
                    contradicted += self._join_waiting(list(late))
        return contradicted

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

    def keys_of_customer(self, customer_id: str) -> list[Key]:
        shown = {"use_case": True, "prediction_id": True}
        with self._available():
            return [key_of(p) for p in self._predictions.find({"customer_id": customer_id}, shown)]

    def remove(self, keys: Sequence[Key]) -> None:
        for part in parts(keys, AT_ONCE):
            ids = [id_of(key) for key in part]
            with self._available():
                delete(self._predictions, ids)
                delete(self._waiting, [*ids, *(id_of(Key("", key.prediction_id)) for key in part)])

    def forget(self, before: datetime, limit: int) -> int:
        with self._available():
            old = self._predictions.find({"created_at": {"$lt": before}}, {"_id": True}).limit(limit)
            ids = [p["_id"] for p in old]
            delete(self._predictions, ids)
            self._waiting.delete_many({"outcome_at": {"$lt": before.isoformat()}})
            self._rejected.delete_many({"minute": {"$lt": int(before.timestamp() // 60)}})
        return len(ids)

    def drop_waiting(self, before: datetime, most: int) -> int:
        with self._available():
            count = self._waiting.delete_many({"outcome_at": {"$lt": before.isoformat()}}).deleted_count
            by_sender = self._waiting.aggregate([{"$group": {"_id": "$sender", "outcomes": {"$sum": 1}}}])
            for group in list(by_sender):
                if (many := int(group["outcomes"]) - most) > 0:
                    oldest = self._waiting.find({"sender": group["_id"]}, {"_id": True}).sort("outcome_at").limit(many)
                    delete(self._waiting, [w["_id"] for w in oldest])
                    count += many
        return int(count)

    def ages(self, before: datetime) -> Ages:
        with self._available():
            old = self._predictions.count_documents({"created_at": {"$lt": before}})
            newest = self._predictions.find_one({}, {"created_at": True}, sort=[("created_at", -1)])
            return Ages(self._predictions.estimated_document_count(), old, newest["created_at"] if newest else None)

    def retained_at(self) -> float | None:
        with self._available():
            return self._about().get("retained_at")

    def set_retained_at(self, at: float) -> None:
        with self._available():
            self._layout.remember(retained_at=at)

    def identity(self) -> Identity:
        with self._available():
            return Identity(self._about()["store_id"], self._numbers["seq"].last())

    def close(self) -> None:
        self._client.close()

    def _read(self, use_case: str, number: str, after: int, limit: int) -> list[Document]:
        with self._available():
            bounds = {"$gt": after, "$lte": self._numbers[number].settled()}
            asked = {"use_case": use_case, "test": False, number: bounds}
            found = self._predictions.find(asked, SHOWN).sort(number).limit(limit)
            return [{**NO_OUTCOME, **p, "created_at": p["created_at"].isoformat()} for p in found]

    def _add_part(self, new: Sequence[Document]) -> dict[Key, Any]:
        """Insert what is new, join what waits for it, and return the records of the keys that were known."""
        self._layout.add_use_cases({p["use_case"] for p in new})
        with self._numbers["seq"].take(len(new)) as seq:
            known = self._insert([document(p, seq + i) for i, p in enumerate(new)])
        self._join_waiting([key_of(p) for p in new])
        shown = {"record": True, "use_case": True, "prediction_id": True}
        return {key_of(p): p["record"] for p in find(self._predictions, known, shown)}

    def _insert(self, documents: list[Document]) -> list[str]:
        """Insert `documents` and return the ids that are there already."""
        try:
            self._predictions.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            return [documents[e["index"]]["_id"] for e in duplicates(error)]
        return []

    def _by_key(self, outcomes: Sequence[Document]) -> Given:
        resolved = self._resolve({key_of(outcome) for outcome in outcomes})
        given: Given = defaultdict(list)
        for outcome in outcomes:
            given[resolved[key_of(outcome)]].append(outcome)
        return given

    def _resolve(self, keys: Iterable[Key]) -> dict[Key, Key]:
        """Return what each key means: one without a use case gets it if exactly one prediction has its id."""
        resolved = {key: key for key in keys}
        if old := [key for key in resolved if not key.use_case]:
            use_cases = self._about()["use_cases"]
            for key in old:
                found = self._stored_keys(Key(name, key.prediction_id) for name in use_cases)
                resolved[key] = found.pop() if len(found) == 1 else key
        return resolved

    def _stored_keys(self, keys: Iterable[Key]) -> set[Key]:
        shown = {"use_case": True, "prediction_id": True}
        return {key_of(p) for p in find(self._predictions, [id_of(key) for key in keys], shown)}

    def _set(self, given: Given) -> list[Key]:
        """Set the outcomes of stored predictions; return the keys about which two senders now disagree.

        What another writer changes meanwhile is read and set again.
        """
        contradicted: set[Key] = set()
        for _ in range(MOST_TRIES):
            changed = 0
            plain_updates: list[tuple[Document, Mapping[str, Any]]] = []  # what readers by number need not see again
            numbered: list[tuple[Document, Mapping[str, Any]]] = []
            for stored in list(find(self._predictions, [id_of(key) for key in given], _OUTCOME_SHOWN)):
                key, known = key_of(stored), fields_of(stored)
                fields, contradicts = with_outcomes(known, given[key])
                if contradicts:
                    contradicted.add(key)
                if fields is not known:
                    later = fields["outcome_at"] != known["outcome_at"]
                    (numbered if later else plain_updates).append((stored, fields))
            if numbered:
                with self._numbers["outcome_seq"].take(len(numbered)) as number:
                    updates = [setting(s, f, {"outcome_seq": number + i}) for i, (s, f) in enumerate(numbered)]
                    changed += self._predictions.bulk_write(updates, ordered=False).matched_count
            if plain_updates:
                updates = [setting(s, f, {}) for s, f in plain_updates]
                changed += self._predictions.bulk_write(updates, ordered=False).matched_count
            if changed == len(numbered) + len(plain_updates):
                return list(contradicted)
        raise StoreUnavailable("the prediction store is busy: other writers change the same outcomes; try again later")

    def _wait(self, late: Given) -> list[Key]:
        """Keep outcomes whose prediction is not stored; return the keys about which two senders now disagree."""
        contradicted: set[Key] = set()
        for _ in range(MOST_TRIES):
            known = {key_of(w): w for w in find(self._waiting, [id_of(key) for key in late], {})}
            updates: list[UpdateOne | InsertOne[Document]] = []
            for key, new in late.items():
                stored = known.get(key, {"_id": id_of(key)})
                before = fields_of(stored)
                fields, contradicts = with_outcomes(before, new)
                if contradicts:
                    contradicted.add(key)
                if fields is not before and key in known:
                    updates.append(setting(stored, fields, {}))
                elif fields is not before:
                    updates.append(InsertOne({**stored, **key._asdict(), **fields}))
            if not updates:
                return list(contradicted)
            try:
                done = self._waiting.bulk_write(updates, ordered=False)
            except BulkWriteError as error:
                duplicates(error)  # another writer's outcome waits already
            else:
                if done.matched_count + done.inserted_count == len(updates):
                    return list(contradicted)
        raise StoreUnavailable("the prediction store is busy: other writers change the same outcomes; try again later")

    def _join_waiting(self, keys: list[Key]) -> list[Key]:
        """Set the outcomes that waited for predictions that are stored; return about which two senders disagree."""
        if self._waiting.find_one({}, {"_id": True}) is None:  # as nearly always
            return []
        asked = {key for named in keys for key in (named, Key("", named.prediction_id))}
        waiting = list(find(self._waiting, [id_of(key) for key in asked], {}))
        resolved = self._resolve(key_of(w) for w in waiting)
        given: Given = defaultdict(list)
        for w in waiting:
            given[resolved[key_of(w)]] += outcomes_in(fields_of(w))
        stored = self._stored_keys(given)  # before: what comes in between has not been set
        contradicted = self._set(given)
        done = [
            DeleteOne({"_id": w["_id"], CHANGES: w.get(CHANGES, {"$exists": False})})
            for w in waiting
            if resolved[key_of(w)] in stored
        ]
        if done:
            self._waiting.bulk_write(done, ordered=False)
        return contradicted

    def _about(self) -> Document:
        """Return the layout's document; where the database was dropped meanwhile, a new one."""
        if (about := self._layout.about()) is None:
            self._layout.prepare()
            about = self._layout.about()
        return about or {}

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            with pymongo.timeout(SELECT_SECONDS):  # in the next block the driver would look for a server for 30 s
                self._client.admin.command("ping")
            if not self._prepared:
                self._layout.prepare()  # a migration takes as long as it takes; each of its calls is bounded
                self._prepared = True
            with pymongo.timeout(CALL_SECONDS):
                yield
        except PyMongoError as error:
            reason = str(error).partition(", Timeout:")[0]  # without the driver's description of the whole deployment
            raise StoreUnavailable(f"the prediction store is not responding: {reason}") from error
