"""Customers, tries and offers in MongoDB, database `scorehouse`: what several machines share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymongo
from pymongo import MongoClient, ReplaceOne, WriteConcern
from pymongo.errors import ConfigurationError, DuplicateKeyError, InvalidURI, PyMongoError

from scorehouse.errors import SettingError, StoreUnavailable
from web_service.offers.store import Document, Offer, Tries

DATABASE = "scorehouse"
CALL_SECONDS = 5  # of one call: a person waits
AT_ONCE = 1000  # documents in one call
_OPEN: Document = {"answered_at": None}  # matches a field that is missing as well


class MongoStore:
    """Collections insurance_customers, insurance_tries and insurance_offers."""

    def __init__(self, address: str):
        """Connect nothing yet. Raises SettingError for an address that is none."""
        try:
            self._client = MongoClient[Document](address, connect=False, serverSelectionTimeoutMS=3000)
        except (InvalidURI, ConfigurationError, ValueError) as error:
            raise SettingError(f"MONGODB_ADDRESS is no mongodb://… address: {error}") from error
        database = self._client.get_database(DATABASE, write_concern=WriteConcern(w="majority", j=True))
        self._customers, self._tries = database["insurance_customers"], database["insurance_tries"]
        self._offers, self._indexed = database["insurance_offers"], False

    def customer(self, id_: str) -> Document | None:
        """Return a customer's record."""
        with self._available():
            return self._customers.find_one({"_id": id_}, {"_id": False})

    def add_customers(self, customers: Sequence[Document]) -> None:
        """Store customers."""
        for start in range(0, len(customers), AT_ONCE):
            with self._available():
                part = [ReplaceOne({"_id": c["ID"]}, c, upsert=True) for c in customers[start : start + AT_ONCE]]
                self._customers.bulk_write(part, ordered=False)

    def has_customers(self, made_up: bool) -> bool:
        """Look for one."""
        with self._available():
            return self._customers.find_one({"made_up": made_up}) is not None

    def remove_made_up(self) -> None:
        """Remove them."""
        with self._available():
            self._customers.delete_many({"made_up": True})

    def made_up_customer(self) -> Document | None:
        """Return one."""
        with self._available():
            return self._customers.find_one({"made_up": True}, {"_id": False})

    def tries(self, id_: str) -> Tries:
        """Return the tries."""
        with self._available():
            found = self._tries.find_one({"_id": id_})
        return Tries(found["failures"], found["locked_until"]) if found else Tries()

    def set_tries(self, id_: str, known: Tries, now: Tries) -> bool:
        """Replace the tries, where they are as known."""
        values = {"failures": now.failures, "locked_until": now.locked_until}
        with self._available():
            if known.failures:
                done = self._tries.update_one({"_id": id_, "failures": known.failures}, {"$set": values})
                return done.matched_count == 1
            try:
                self._tries.insert_one({"_id": id_, **values})
            except DuplicateKeyError:
                return False
            return True

    def clear_tries(self, id_: str) -> None:
        """Forget the tries."""
        with self._available():
            self._tries.delete_one({"_id": id_})

    def add_offer(self, offer: Offer) -> None:
        """Store a new offer."""
        document = {"_id": offer.prediction_id, "visitor": offer.visitor, "asked_at": offer.asked_at}
        with self._available():
            self._offers.insert_one({**document, "record": offer.record, "sent_at": None, **_OPEN})

    def offers_of(self, visitor: str) -> list[Offer]:
        """Return a visitor's offers."""
        with self._available():
            return [_offer(o) for o in self._offers.find({"visitor": visitor}).sort("asked_at", -1)]

    def unanswered(self) -> list[Offer]:
        """Return those without an answer."""
        with self._available():
            return [_offer(o) for o in self._offers.find(_OPEN).sort("asked_at", 1)]

    def mark_sent(self, ids: Sequence[str], at: float) -> None:
        """Note when they were sent."""
        with self._available():
            self._offers.update_many({"_id": {"$in": list(ids)}}, {"$set": {"sent_at": at}})

    def set_answer(self, prediction_id: str, premium: float | None, refused: str, at: float) -> None:
        """Note the first answer."""
        values = {"premium": premium, "refused": refused, "answered_at": at}
        with self._available():
            self._offers.update_one({"_id": prediction_id, **_OPEN}, {"$set": values})

    def forget(self, before: float) -> None:
        """Remove what is old."""
        with self._available():
            self._offers.delete_many({"asked_at": {"$lt": before}})
            self._tries.delete_many({"locked_until": {"$lt": before}})

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            with pymongo.timeout(CALL_SECONDS):
                if not self._indexed:
                    self._offers.create_index([("visitor", 1), ("asked_at", 1)])
                    self._offers.create_index("answered_at")
                    self._customers.create_index("made_up")
                    self._indexed = True
                yield
        except PyMongoError as error:
            reason = str(error).partition(", Timeout:")[0]  # without the driver's picture of the whole deployment
            raise StoreUnavailable(f"the customers' store does not answer: {reason}") from error


def _offer(found: Document) -> Offer:
    values: dict[str, Any] = {name: found.get(name) for name in ("sent_at", "answered_at", "premium")}
    return Offer(
        found["_id"], found["visitor"], found["asked_at"], found["record"], **values, refused=found.get("refused", "")
    )
