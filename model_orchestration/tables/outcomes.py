"""What happened to those who were scored joins the training table: TRAIN_ON_OUTCOMES, the newest with most weight."""

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
MOST = 50_000  # outcomes, the newest
BATCH = 2_000
NEWEST_WEIGHT = 4.0  # of the newest outcome, where a row of the table has 1
HALF_LIFE_DAYS = 30.0  # after which half of what is above 1 is left


def training_table(use_case: UseCase, settings: Settings) -> TrainingTable:
    """Return the table that a training learns from and models are judged on: DATA, and outcomes where they are wanted.

    Raises:
        TableError: the table cannot be trained on.
        StoreUnavailable: the outcomes cannot be read.
    """
    before = this_month(use_case, datetime.now(UTC)) if use_case.dated else None
    table = prepare(read_table(settings.data, use_case, settings.s3_address), use_case, settings.data, before)
    if not settings.train_on_outcomes:
        return table
    return with_outcomes(table, use_case, known_outcomes(open_store(settings.store), use_case))


def this_month(use_case: UseCase, now: datetime) -> date:
    """Return the first day of the month that `now` is in, by the use case's clock: dated rows from it on are left out.

    So that all trainings of a month learn from the same rows, and champion and challenger are judged on the same.
    """
    return now.astimezone(ZoneInfo(use_case.schedule.timezone)).date().replace(day=1)


def known_outcomes(store: Store, use_case: UseCase) -> list[Document]:
    """Return the newest predictions whose outcome is known, oldest outcome first. Raises StoreUnavailable."""
    found: dict[str, Document] = {}
    seq = 0
    while batch := store.outcomes_after(use_case.name, seq, BATCH):
        for document in batch:
            found.pop(document["prediction_id"], None)  # corrected: it is as new as its correction
            found[document["prediction_id"]] = document
        seq = batch[-1]["outcome_seq"]
        for old in list(found)[: max(0, len(found) - MOST)]:
            del found[old]
    return list(found.values())


def with_outcomes(table: TrainingTable, use_case: UseCase, documents: Sequence[Document]) -> TrainingTable:
    """Return `table` with the records of `documents` behind its rows, their outcomes as truth.

    A record's key is its customer, or its own content where it has none: by the same hash as every row it falls on one
    side of the split, and stays there. Records that the schema refuses by now are left out, and outcomes that the table
    itself could not have: a premium of 0 would end the training, a class of its own would become one of the model's.
    """
    schema, possible = RecordSchema(use_case.features), _possible(use_case, table)
    checked = [(d, schema.check(d["record"])) for d in documents if possible(float(d["outcome"]))]
    if left_out := len(documents) - len(checked):
        log.warning("%d outcomes are left out: the table for %s has none like them", left_out, use_case.name)
    good = [d for d, record in checked if not isinstance(record, Rejected)]
    if not good:
        return table
    times = np.array([datetime.fromisoformat(d["outcome_at"]).timestamp() for d in good])
    content = orjson.dumps([[d["prediction_id"], d["outcome"]] for d in good])
    return replace(
        table,
        records=[*table.records, *(dict(r) for _, r in checked if not isinstance(r, Rejected))],
        truth=np.concatenate([table.truth, np.array([float(d["outcome"]) for d in good])]),
        keys=[*table.keys, *(_key(d) for d in good)],
        weights=np.concatenate([table.weights, weight((times.max() - times) / 86_400)]),
        source=f"{table.source}, and {len(good):,} outcomes until {good[-1]['outcome_at'][:16]}",
        data_hash=hashlib.sha256(table.data_hash.encode() + content).hexdigest(),
    )


def _possible(use_case: UseCase, table: TrainingTable) -> Callable[[float], bool]:
    """Return whether an outcome is one that rows of `table` could have."""
    if use_case.task == "ordinal":
        return set(table.truth.tolist()).__contains__
    if use_case.task == "amount" and (table.truth > 0).all():
        return lambda outcome: outcome > 0
    return lambda _: True


def weight(days: np.ndarray) -> np.ndarray:
    """Return the weights of outcomes that are `days` older than the newest one, (n,)."""
    return np.asarray(1 + (NEWEST_WEIGHT - 1) * 0.5 ** (days / HALF_LIFE_DAYS))


def _key(document: Document) -> str:
    """The customer, as a table's key column has it; else the record's content, so that copies stay together."""
    if (of := customer(document)) is not None:
        return of
    return hashlib.blake2b(orjson.dumps(document["record"], option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
