"""Customers, attempts and offers in MongoDB, database `scorehouse`, which several machines can share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymongo
from pymongo import MongoClient, ReplaceOne, WriteConcern
from pymongo.errors import ConfigurationError, DuplicateKeyError, InvalidURI, PyMongoError

from scorehouse.errors import SettingError, StoreUnavailable
from web_service.offers.store import LAYOUT, Attempts, Document, Offer, require_known

DATABASE = "scorehouse"
CALL_SECONDS = 5  # for one call, because a person waits
MOST_WRITES = 1000  # documents in one call
_ABOUT = "insurance"  # the document of these collections in `layout`, which the prediction store uses as well
_OPEN: Document = {"answered_at": None}  # matches a field that is missing as well


class MongoStore:
    """Collections insurance_customers, insurance_tries and insurance_offers, and their version in `layout`."""

    def __init__(self, address: str):
        """Connect to nothing yet. Raises SettingError if `address` is not a MongoDB address."""
        try:
            self._client = MongoClient[Document](address, connect=False, serverSelectionTimeoutMS=3000)
        except (InvalidURI, ConfigurationError, ValueError):
            # Nothing of pymongo's reason: it quotes a part of a password that is not percent-encoded.
            raise SettingError(
                "MONGODB_ADDRESS is not a mongodb://… address: write mongodb://user:password@host:port, and "
                "percent-encode special characters of user and password"
            ) from None
        database = self._client.get_database(DATABASE, write_concern=WriteConcern(w="majority", j=True))
        self._customers = database["insurance_customers"]
        self._attempts = database["insurance_tries"]
        self._offers = database["insurance_offers"]
        self._layout = database["layout"]
        self._prepared = False

    def customer(self, id_: str) -> Document | None:
        with self._available():
            return self._customers.find_one({"_id": id_}, {"_id": False})

    def add_customers(self, customers: Sequence[Document]) -> None:
        for start in range(0, len(customers), MOST_WRITES):
            with self._available():
                part = [ReplaceOne({"_id": c["ID"]}, c, upsert=True) for c in customers[start : start + MOST_WRITES]]
                self._customers.bulk_write(part, ordered=False)

    def has_customers(self, made_up: bool) -> bool:
        with self._available():
            return self._customers.find_one({"made_up": made_up}) is not None

    def remove_made_up(self) -> None:
        with self._available():
            self._customers.delete_many({"made_up": True})

    def made_up_customer(self) -> Document | None:
        with self._available():
            return self._customers.find_one({"made_up": True}, {"_id": False})

    def attempts(self, id_: str) -> Attempts:
        with self._available():
            found = self._attempts.find_one({"_id": id_})
        return Attempts(found["failures"], found["locked_until"]) if found else Attempts()

    def replace_attempts(self, id_: str, known: Attempts, new: Attempts) -> bool:
        values = {"failures": new.failures, "locked_until": new.locked_until}
        with self._available():
            if known.failures:
                done = self._attempts.update_one({"_id": id_, "failures": known.failures}, {"$set": values})
                return done.matched_count == 1
            try:
                self._attempts.insert_one({"_id": id_, **values})
            except DuplicateKeyError:
                return False
            return True

    def clear_attempts(self, id_: str) -> None:
        with self._available():
            self._attempts.delete_one({"_id": id_})

    def add_offer(self, offer: Offer) -> None:
        document = {"_id": offer.prediction_id, "visitor": offer.visitor, "asked_at": offer.asked_at}
        with self._available():
            self._offers.insert_one({**document, "record": offer.record, "sent_at": None, **_OPEN})

    def offers_of(self, visitor: str) -> list[Offer]:
        with self._available():
            return [_offer(o) for o in self._offers.find({"visitor": visitor}).sort("asked_at", -1)]

    def unanswered(self) -> list[Offer]:
        with self._available():
            return [_offer(o) for o in self._offers.find(_OPEN).sort("asked_at", 1)]

    def mark_sent(self, ids: Sequence[str], at: float) -> None:
        with self._available():
            self._offers.update_many({"_id": {"$in": list(ids)}}, {"$set": {"sent_at": at}})

    def set_answer(self, prediction_id: str, premium: float | None, refused: str, at: float) -> None:
        values = {"premium": premium, "refused": refused, "answered_at": at}
        with self._available():
            self._offers.update_one({"_id": prediction_id, **_OPEN}, {"$set": values})

    def forget(self, before: float) -> None:
        with self._available():
            self._offers.delete_many({"asked_at": {"$lt": before}})
            self._attempts.delete_many({"locked_until": {"$lt": before}})

    def close(self) -> None:
        self._client.close()

    def _prepare(self) -> None:
        """Write the layout's version and create the indexes. Raises StoreUnavailable if the layout is newer."""
        found = self._layout.find_one({"_id": _ABOUT})
        require_known(found["version"] if found else LAYOUT)
        self._layout.update_one({"_id": _ABOUT}, {"$setOnInsert": {"version": LAYOUT}}, upsert=True)
        self._offers.create_index([("visitor", 1), ("asked_at", 1)])
        self._offers.create_index("answered_at")
        self._customers.create_index("made_up")

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            with pymongo.timeout(CALL_SECONDS):
                if not self._prepared:
                    self._prepare()
                    self._prepared = True
                yield
        except PyMongoError as error:
            reason = str(error).partition(", Timeout:")[0]  # without the driver's description of every server
            raise StoreUnavailable(f"the customer store is not responding: {reason}") from error


def _offer(found: Document) -> Offer:
    values: dict[str, Any] = {name: found.get(name) for name in ("sent_at", "answered_at", "premium")}
    return Offer(
        found["_id"], found["visitor"], found["asked_at"], found["record"], **values, refused=found.get("refused", "")
    )
