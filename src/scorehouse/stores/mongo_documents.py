"""Predictions and outcomes as MongoDB stores them, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from scorehouse.stores.outcomes import FIELDS, NONE_YET
from scorehouse.stores.store import Document, Key, customer, key_of

DUPLICATE_KEY = 11000
ASKED = 200  # ids in one query
CHANGES = "outcome_changes"  # counts the changes of outcome fields, so that two writers never overwrite each other's
SHOWN = {"_id": False, CHANGES: False}  # what readers are shown of a prediction
NO_OUTCOME: Document = {**NONE_YET, "outcome_seq": None}
T = TypeVar("T")


def id_of(key: Key) -> str:
    """Return the `_id` of a prediction, or of what waits for one: a use case's name has no slash."""
    return f"{key.use_case}/{key.prediction_id}"


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
        "_id": id_of(key_of(prediction)),
        "seq": seq,
        **{name: prediction[name] for name in fields},
        "created_at": created_at,
        "record": prediction["record"],
        "customer_id": customer(prediction),
        "caller": prediction.get("caller"),
        "test": bool(prediction.get("test")),
    }


def fields_of(stored: Mapping[str, Any]) -> Document:
    """Return the outcome fields of a stored document."""
    return {**NONE_YET, **{name: stored[name] for name in FIELDS if name in stored}}


def plain(record: Document) -> Document:
    """Return a record as BSON can hold it: an integer beyond 64 bits becomes a float."""
    return {k: float(v) if isinstance(v, int) and not -(2**63) <= v < 2**63 else v for k, v in record.items()}


def setting(stored: Mapping[str, Any], fields: Mapping[str, Any], more: Mapping[str, Any]) -> UpdateOne:
    """Return the update that sets outcome fields, unless another writer has changed them since they were read."""
    changes = stored.get(CHANGES, 0)
    unchanged = {CHANGES: changes} if changes else {CHANGES: {"$exists": False}}
    return UpdateOne({"_id": stored["_id"], **unchanged}, {"$set": {**fields, **more, CHANGES: changes + 1}})


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
