"""Predictions and outcomes as MongoDB stores them, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from scorehouse.stores.store import Document, customer

DUPLICATE_KEY = 11000
ASKED = 200  # ids in one query
T = TypeVar("T")


def find(collection: Collection[Document], ids: Iterable[str], shown: Document) -> Iterator[Document]:
    """Yield the documents of these ids: `$or`, not `$in`, which the tests' MongoDB answers by reading everything."""
    for part in parts(list(ids), ASKED):
        yield from collection.find({"$or": [{"_id": id_} for id_ in part]}, shown)


def delete(collection: Collection[Document], ids: Sequence[str]) -> None:
    """Remove the documents of these ids."""
    for part in parts(ids, ASKED):
        collection.delete_many({"$or": [{"_id": id_} for id_ in part]})


def parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield `items` in slices of `size`, which bounds the time of one call."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def document(prediction: Document, seq: int) -> Document:
    """Return a prediction as it is stored under number `seq`."""
    created_at = datetime.fromisoformat(prediction["created_at"]).astimezone(UTC)
    fields = ("prediction_id", "use_case", "model_run_id", "door", "prediction")
    return {
        "_id": prediction["prediction_id"],
        "seq": seq,
        **{name: prediction[name] for name in fields},
        "created_at": created_at,
        "record": prediction["record"],
        "customer_id": customer(prediction),
    }


def plain(record: Document) -> Document:
    """Return a record as BSON can hold it: an integer beyond 64 bits becomes a float."""
    return {k: float(v) if isinstance(v, int) and not -(2**63) <= v < 2**63 else v for k, v in record.items()}


def setting(outcome: Document, number: int) -> UpdateOne:
    """Return the update that sets an outcome, unless a later one is set."""
    at = outcome["outcome_at"]
    return UpdateOne(
        {"_id": outcome["prediction_id"], "$or": [{"outcome_at": {"$exists": False}}, {"outcome_at": {"$lt": at}}]},
        {"$set": {"outcome": outcome["outcome"], "outcome_at": at, "outcome_seq": number}},
    )


def duplicates(error: BulkWriteError) -> list[dict[str, Any]]:
    """Return the write errors if all are duplicate keys. Raises `error` otherwise."""
    details = error.details or {}
    faults: list[dict[str, Any]] = details.get("writeErrors", [])
    if not faults or any(f["code"] != DUPLICATE_KEY for f in faults) or details.get("writeConcernErrors"):
        raise error
    return faults


def counting(count: Document) -> UpdateOne:
    """Return the update that stores what a door rejected, unless a higher count of the same id is stored."""
    values = {k: v for k, v in count.items() if k not in {"id", "kind"}}
    return UpdateOne({"_id": count["id"], "records": {"$lt": count["records"]}}, {"$set": values}, upsert=True)
