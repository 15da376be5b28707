"""Adds known outcomes to the training table (TRAIN_ON_OUTCOMES). The newest outcome has the largest weight."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import orjson

from model_orchestration.tables.training_table import TrainingTable, prepare, read_table
from scorehouse.scoring.schema import RecordSchema, Rejected
from scorehouse.settings import Settings
from scorehouse.stores.open import open_store
from scorehouse.stores.store import Document, Store, customer
from scorehouse.usecase import UseCase

log = logging.getLogger(__name__)
MOST = 50_000  # outcomes that a training uses: the newest ones
BATCH = 2_000  # outcomes that are read from the store at a time
NEWEST_WEIGHT = 4.0  # of the newest outcome; a row of the table has weight 1
HALF_LIFE_DAYS = 30.0  # after which half of the weight above 1 is left


def read_training_table(use_case: UseCase, settings: Settings) -> TrainingTable:
    """Return the table that models are trained and judged on: DATA, and known outcomes if the settings say so.

    Raises:
        TableError: the table cannot be trained on.
        StoreUnavailable: the outcomes cannot be read.
    """
    before = start_of_month(use_case, datetime.now(UTC)) if use_case.dated else None
    table = prepare(read_table(settings.data, use_case, settings.s3_address), use_case, settings.data, before)
    if not settings.train_on_outcomes:
        return table
    return add_outcomes(table, use_case, read_outcomes(open_store(settings.store), use_case))


def start_of_month(use_case: UseCase, now: datetime) -> date:
    """Return the first day of the current month in the use case's time zone.

    Rows from this day on are left out. All trainings of a month then learn from the same rows, and champion and
    challenger are judged on the same rows.
    """
    return now.astimezone(ZoneInfo(use_case.schedule.timezone)).date().replace(day=1)


def read_outcomes(store: Store, use_case: UseCase) -> list[Document]:
    """Return the newest predictions with a known outcome, the oldest outcome first. Raises StoreUnavailable."""
    newest: dict[str, Document] = {}
    seq = 0
    while batch := store.outcomes_after(use_case.name, seq, BATCH):
        for document in batch:
            newest.pop(document["prediction_id"], None)  # a corrected outcome is as new as its correction
            newest[document["prediction_id"]] = document
        seq = batch[-1]["outcome_seq"]
        for prediction_id in list(newest)[: max(0, len(newest) - MOST)]:
            del newest[prediction_id]
    return list(newest.values())


def add_outcomes(table: TrainingTable, use_case: UseCase, documents: Sequence[Document]) -> TrainingTable:
    """Return `table` with the records of `documents` added after its rows, with their outcomes as truth.

    The key of a record is its customer, or its own content if it has no customer. The same hash as for every row of
    the table decides its split, and it stays there.

    Two kinds of outcomes are left out: those whose record the schema rejects today, and those that the table itself
    could not contain. A premium of 0 would end the training, and a class of its own would become a class of the model.
    """
    schema = RecordSchema(use_case.features)
    is_plausible = _plausibility(use_case, table)
    checked = [(d, schema.check(d["record"])) for d in documents if is_plausible(float(d["outcome"]))]
    if left_out := len(documents) - len(checked):
        log.warning(
            "%d outcomes were left out because no row of the table for %s has such an outcome", left_out, use_case.name
        )
    accepted = [(d, record) for d, record in checked if not isinstance(record, Rejected)]
    if not accepted:
        return table
    added = [d for d, _ in accepted]
    times = np.array([datetime.fromisoformat(d["outcome_at"]).timestamp() for d in added])
    content = orjson.dumps([[d["prediction_id"], d["outcome"]] for d in added])
    return replace(
        table,
        records=[*table.records, *(record for _, record in accepted)],
        truth=np.concatenate([table.truth, np.array([float(d["outcome"]) for d in added])]),
        keys=[*table.keys, *(_key(d) for d in added)],
        weights=np.concatenate([table.weights, recency_weights((times.max() - times) / 86_400)]),
        source=f"{table.source}, and {len(added):,} outcomes until {added[-1]['outcome_at'][:16]}",
        data_hash=hashlib.sha256(table.data_hash.encode() + content).hexdigest(),
    )


def _plausibility(use_case: UseCase, table: TrainingTable) -> Callable[[float], bool]:
    """Return the test that says whether `table` could contain an outcome."""
    if use_case.task == "ordinal":
        return set(table.truth.tolist()).__contains__
    if use_case.task == "amount" and (table.truth > 0).all():
        return lambda outcome: outcome > 0
    return lambda _: True


def recency_weights(days: np.ndarray) -> np.ndarray:
    """Return the weights of outcomes that are `days` older than the newest one, (n,)."""
    return np.asarray(1 + (NEWEST_WEIGHT - 1) * 0.5 ** (days / HALF_LIFE_DAYS))


def _key(document: Document) -> str:
    """Return the customer as the table's key column has it, or a hash of the record, so that copies stay together."""
    if (customer_id := customer(document)) is not None:
        return customer_id
    return hashlib.blake2b(orjson.dumps(document["record"], option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
