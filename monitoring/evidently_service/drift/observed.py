"""Turns stored predictions into what is compared: the rows that the model saw, encoded by its bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from monitoring.evidently_service.drift.statistics import Column, Floats
from scorehouse.bundles.bundle import Bundle
from scorehouse.scoring.derivation import derivation
from scorehouse.scoring.encoding import Matrix
from scorehouse.scoring.schema import RecordSchema, Rejected
from scorehouse.stores.store import Document
from scorehouse.usecase import UseCase, with_parts

Flags = NDArray[np.bool_]
Keys = NDArray[np.uint64]
Places = NDArray[np.intp]
CHECKED_ROWS = 1000  # reference rows that show whether equal contents are common
MOST_EQUAL = 0.02  # the share of these that may repeat another before equal contents say nothing


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """n answered records of one run, in the store's order.

    rows (n, columns), NaN for missing; sent (n, columns), False where a record lacks an optional field; predictions,
    times (Unix, seconds), numbers (the store's seq) and keys (`RunColumns.keys`), each (n,). Of several classes, a
    prediction is its chances, (n, classes).
    """

    rows: Matrix
    sent: Flags
    predictions: Floats
    times: Floats
    numbers: NDArray[np.int64]
    keys: Keys

    def __len__(self) -> int:
        return len(self.numbers)

    def since(self, start: int) -> Observed:
        """Return the records from place `start` on; a negative one counts from the end."""
        return Observed(*(getattr(self, f.name)[start:] for f in fields(self)))

    def at(self, places: Places) -> Observed:
        """Return the records at these places."""
        return Observed(*(getattr(self, f.name)[places] for f in fields(self)))

    def followed_by(self, newer: Observed) -> Observed:
        """Return these records and then the newer ones."""
        return Observed(*(np.concatenate([getattr(self, f.name), getattr(newer, f.name)]) for f in fields(self)))

    def to_json(self) -> dict[str, Any]:
        """Return the arrays as lists; JSON writes NaN as null."""
        return {f.name: getattr(self, f.name).tolist() for f in fields(self)}


def times_of(documents: Sequence[Document], name: str) -> Floats:
    """Return the times under `name` (ISO 8601), as Unix seconds, (n,)."""
    return np.array([datetime.fromisoformat(d[name]).timestamp() for d in documents], dtype=np.float64)


class RunColumns:
    """The columns of one run's model; turns stored records into rows."""

    def __init__(self, bundle: Bundle, use_case: UseCase):
        """Take schema and encoder from the bundle. Raises BundleError where this code derives other features."""
        bundle.check_version(use_case)
        self._schema = RecordSchema(bundle.features)
        self._derive = derivation(bundle.features, use_case.derive)
        self._encoder = bundle.encoder
        self.classes = bundle.manifest.classes
        self._optional = [f.name for f in bundle.features if not f.required]
        self._field_of = {column.name: f.name for f in bundle.features for column in with_parts([f])}
        self._field_of |= {c.name: c.source for c in self._encoder.columns if c.learnt}
        features = set(self._field_of)  # and the parts of dates, which are missing where their field is
        optional = {column for column, field in self._field_of.items() if field in self._optional}
        encoded = self._encoder.columns
        self.columns: list[Column] = [(c.name, "category" if c.is_category else "number") for c in encoded]
        self.optional: Flags = np.array([c.name in optional for c in encoded], dtype=np.bool_)
        own = np.array([c.name in features and c.name not in optional for c in encoded], dtype=np.bool_)
        self.content_identifies = _rarely_equal(bundle.reference.rows[:CHECKED_ROWS, own])
        self._salt = bundle.manifest.run_id.encode()[: hashlib.blake2b.SALT_SIZE]
        self._derived: Flags = np.array([c.name not in features for c in encoded], dtype=np.bool_)

    def keys(self, documents: Sequence[Document]) -> Keys:
        """Return a random number for each document's subject, (n,): the same for the same subject of this run.

        The subject is the customer. Without a customer_id it is the record's content; where equal contents are common
        in the training table, each record is a subject of its own.
        """
        return np.array([self._key(d) for d in documents], dtype=np.uint64)

    def _key(self, document: Document) -> int:
        customer = document.get("customer_id")
        if customer is not None:
            subject = b"customer" + str(customer).encode()
        elif self.content_identifies:
            subject = orjson.dumps(document["record"], option=orjson.OPT_SORT_KEYS)
        else:
            subject = str(document["prediction_id"]).encode()
        return self._digest(subject)

    def _digest(self, subject: bytes) -> int:
        return int.from_bytes(hashlib.blake2b(subject, digest_size=8, salt=self._salt).digest())

    def observe(self, documents: Sequence[Document]) -> Observed:
        """Return the documents' records, without those that the schema rejects (which no door wrote)."""
        checked = [(d, self._schema.check(d["record"])) for d in documents]
        kept = [(d, c) for d, c in checked if not isinstance(c, Rejected)]
        rows = self._encoder.rows([self._derive(record) for _, record in kept])
        documents = [d for d, _ in kept]
        return Observed(
            rows,
            self._sent([d["record"] for d in documents], rows),
            self._predictions([d["prediction"] for d in documents]),
            times_of(documents, "created_at"),
            np.array([d["seq"] for d in documents], dtype=np.int64),
            self.keys(documents),
        )

    def from_json(self, stored: dict[str, Any]) -> Observed:
        """Return the records of `Observed.to_json`, also those of an earlier release: without keys, each counts.

        Raises ValueError if the columns have changed.
        """
        shape = (-1, len(self.columns))
        keys = stored.get("keys") or [self._digest(str(number).encode()) for number in stored["numbers"]]
        return Observed(
            np.array(stored["rows"], dtype=np.float32).reshape(shape),
            np.array(stored["sent"], dtype=np.bool_).reshape(shape),
            self._predictions(stored["predictions"]),
            np.array(stored["times"], dtype=np.float64),
            np.array(stored["numbers"], dtype=np.int64),
            np.array(keys, dtype=np.uint64),
        )

    def _predictions(self, values: Sequence[Any]) -> Floats:
        predictions: Floats = np.array(values, dtype=np.float64)
        return predictions.reshape(-1, len(self.classes)) if self.classes else predictions

    def _sent(self, records: list[dict[str, Any]], rows: Matrix) -> Flags:
        """Which values were sent. A field that is absent is not null: it says nothing about the population.

        A derived column counts as unsent where it is missing and its record lacks an optional field.
        """
        sent = np.ones(rows.shape, dtype=np.bool_)
        for place in np.flatnonzero(self.optional):
            name = self._field_of[self.columns[place][0]]
            sent[:, place] = [name in record for record in records]
        lacking = np.array([any(name not in r for name in self._optional) for r in records], dtype=np.bool_)
        return sent & ~(lacking[:, None] & self._derived & np.isnan(rows))


def _rarely_equal(rows: Matrix) -> bool:
    """Whether so few of the reference's rows are equal that equal contents are a repeat and not another subject."""
    return not len(rows) or len(np.unique(rows, axis=0, equal_nan=True)) >= (1 - MOST_EQUAL) * len(rows)
