"""Adds known outcomes to the training table (TRAIN_ON_OUTCOMES). The newest outcome has the largest weight."""

from __future__ import annotations

import hashlib
import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from model_orchestration.tables.sufficiency import require_enough
from model_orchestration.tables.times import read_times
from model_orchestration.tables.training_table import TrainingTable, content_key, key_text, prepare, read_table
from scorehouse.errors import TableError
from scorehouse.scoring.schema import RecordSchema, Rejected
from scorehouse.settings import Settings
from scorehouse.stores.open import open_store
from scorehouse.stores.store import Document, Store, customer
from scorehouse.usecase import UseCase

log = logging.getLogger(__name__)
MOST = 50_000  # outcomes that a training uses: the newest ones
BATCH = 2_000  # outcomes that are read from the store at a time
NEWEST_WEIGHT = 4.0  # of the newest outcome; a row of the table has weight 1
UNKNOWN = "unknown"  # the sender of an outcome that came without a key, or before senders were recorded
HALF_LIFE_DAYS = 30.0  # after which half of the weight above 1 is left


def read_training_table(use_case: UseCase, settings: Settings) -> TrainingTable:
    """Return the table that models are trained and judged on: DATA or the page's own, with known outcomes if asked.

    Raises:
        TableError: the table cannot be trained on, or is not enough to train and judge a model.
        StoreUnavailable: the outcomes cannot be read.
    """
    table = read_own_rows(use_case, settings)
    if settings.train_on_outcomes:
        documents = read_outcomes(open_store(settings.store), use_case)
        table = add_outcomes(table, use_case, documents, settings.outcomes_max_share)
    try:
        require_enough(table, use_case, settings.split_seed)
    except TableError as error:
        raise TableError(f"{table.source}: {error}") from error
    return table


def read_own_rows(use_case: UseCase, settings: Settings) -> TrainingTable:
    """Return the rows of the table itself, DATA or the page's own: as training sees them, without sent outcomes.

    Raises:
        TableError: the table cannot be trained on.
    """
    before = start_of_month(use_case, datetime.now(UTC)) if use_case.dated else None
    source = use_case.table_at(settings.data)
    return prepare(read_table(source, use_case, settings.s3_address), use_case, source, before)


def start_of_month(use_case: UseCase, now: datetime) -> date:
    """Return the first day of the current month in the use case's time zone.

    Rows from this day on are left out. All trainings of a month then learn from the same rows, and champion and
    challenger are judged on the same rows.
    """
    return now.astimezone(ZoneInfo(use_case.schedule.timezone)).date().replace(day=1)


def read_outcomes(store: Store, use_case: UseCase) -> list[Document]:
    """Return the newest predictions with a known outcome, the oldest outcome first. Raises StoreUnavailable.

    Predictions of checks and examples (`test`) are left out.
    """
    newest: dict[str, Document] = {}
    seq = 0
    while batch := store.outcomes_after(use_case.name, seq, BATCH):
        for document in batch:
            newest.pop(document["prediction_id"], None)  # a corrected outcome is as new as its correction
            if not document.get("test"):
                newest[document["prediction_id"]] = document
        seq = batch[-1]["outcome_seq"]
        for prediction_id in list(newest)[: max(0, len(newest) - MOST)]:
            del newest[prediction_id]
    return list(newest.values())


def add_outcomes(
    table: TrainingTable, use_case: UseCase, documents: Sequence[Document], max_share: float = 1.0
) -> TrainingTable:
    """Return `table` with the records of `documents` added after its rows, with their outcomes as truth.

    The hash of a record's key decides its split, as for every row of the table (see `_key`).

    Three kinds of outcomes are left out: those whose record the schema rejects today; those that the table itself could
    not contain, because a premium of 0 would end the training and an ordered class of its own would become a class of
    the model;
    and the oldest ones of a sender who sent more than `max_share` of the rest (see `limit_senders`).
    """
    schema = RecordSchema(use_case.features)
    is_plausible = _plausibility(use_case, table)
    checked = [(d, schema.check(d["record"])) for d in documents if is_plausible(float(d["outcome"]))]
    if left_out := len(documents) - len(checked):
        log.warning(
            "%d outcomes were left out because the table for %s could not have such an outcome", left_out, use_case.name
        )
    accepted = [(d, record) for d, record in checked if not isinstance(record, Rejected)]
    kept = limit_senders([sender(d) for d, _ in accepted], max_share)
    if left_out := len(accepted) - len(kept):
        log.warning(
            "%d outcomes were left out because their sender sent more than %.0f %% of them (OUTCOMES_MAX_SHARE)",
            left_out, max_share * 100,
        )  # fmt: skip
    accepted = [accepted[i] for i in kept]
    if not accepted:
        return table
    added = [d for d, _ in accepted]
    times = np.array([datetime.fromisoformat(d["outcome_at"]).timestamp() for d in added])
    content = orjson.dumps([[d["prediction_id"], d["outcome"]] for d in added])
    return replace(
        table,
        records=[*table.records, *(record for _, record in accepted)],
        truth=np.concatenate([table.truth, np.array([float(d["outcome"]) for d in added])]),
        keys=[*table.keys, *_keys(table, use_case, accepted)],
        weights=np.concatenate([table.weights, recency_weights((times.max() - times) / 86_400)]),
        senders=[*table.senders, *(sender(d) for d in added)],
        times=None if table.times is None else np.concatenate([table.times, _times(table.times, use_case, accepted)]),
        source=f"{table.source}, and {len(added):,} outcomes until {added[-1]['outcome_at'][:16]}",
        data_hash=hashlib.sha256(table.data_hash.encode() + content).hexdigest(),
    )


def _times(
    known: NDArray[Any], use_case: UseCase, accepted: Sequence[tuple[Document, Mapping[str, Any]]]
) -> NDArray[Any]:
    """Return the time of each outcome's row: that in its record, or else when it was predicted.

    Where the times are numbers that a record does not have, such as years, an outcome is as new as the newest row.
    """
    own = [record.get(use_case.split_by) for _, record in accepted]
    if np.issubdtype(known.dtype, np.datetime64):
        written = [time or document["created_at"] for time, (document, _) in zip(own, accepted, strict=True)]
        return read_times(pd.Series(written, dtype=object))
    newest = known.max()
    return np.array([newest if time is None else float(time) for time in own])


def sender(document: Document) -> str:
    """Return the name of the key that sent an outcome, or UNKNOWN where nobody could tell."""
    return str(document.get("sender") or UNKNOWN)


def limit_senders(senders: Sequence[str], max_share: float) -> list[int]:
    """Return the places of the outcomes that stay: the newest (last) ones of each sender, in order.

    No sender has more than `max_share` of what stays. Where there are too few senders for that, all of them have the
    same share; a single sender keeps everything, because training on it is better than on nothing.
    """
    counts = Counter(senders)
    if len(counts) < 2:
        return list(range(len(senders)))
    share = max(max_share, 1 / len(counts))

    def is_too_many(each: int) -> bool:
        return each > share * sum(min(n, each) for n in counts.values()) + 1e-9

    most = bisect_left(range(1, max(counts.values()) + 1), True, key=is_too_many)
    seen: Counter[str] = Counter()
    kept = []
    for place in reversed(range(len(senders))):
        seen[senders[place]] += 1
        if seen[senders[place]] <= most:
            kept.append(place)
    return kept[::-1]


def _plausibility(use_case: UseCase, table: TrainingTable) -> Callable[[float], bool]:
    """Return the test that says whether `table` could contain an outcome."""
    if use_case.task == "multiclass":  # also one that is new, so that no row of the table has it yet
        return lambda outcome: outcome in range(len(use_case.classes))
    if use_case.task == "ordinal":
        return set(table.truth.tolist()).__contains__
    if use_case.task == "amount" and (table.truth > 0).all():
        return lambda outcome: outcome > 0
    return lambda _: True


def recency_weights(days: np.ndarray) -> np.ndarray:
    """Return the weights of outcomes that are `days` older than the newest one, (n,)."""
    return np.asarray(1 + (NEWEST_WEIGHT - 1) * 0.5 ** (days / HALF_LIFE_DAYS))


def _keys(
    table: TrainingTable, use_case: UseCase, accepted: Sequence[tuple[Document, Mapping[str, Any]]]
) -> Iterator[str]:
    """Yield the key of each outcome, so that an outcome and the row of the same person share their side.

    In a use case with a key, that is the customer of the prediction, or the key field of its record. Without a
    customer, and in a use case without a key, it is the key of the row with the same record, if the table or an earlier
    outcome has one. Otherwise the record is its own key.
    """
    known = {content_key(record): key for record, key in zip(table.records, table.keys, strict=True)}
    for document, record in accepted:
        customer_id = customer(document)
        if customer_id is None and document["record"].get(use_case.key) is not None:
            customer_id = str(document["record"][use_case.key])
        content = content_key(record)
        key = None if customer_id is None else key_text(customer_id)
        if key is None or not use_case.key:
            key = known.get(content) or key or content
        known.setdefault(content, key)
        yield key
