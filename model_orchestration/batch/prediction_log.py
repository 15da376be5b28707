"""Adds a day's answers to the prediction log, so that drift, quality, training and erasure know them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model_orchestration.batch.records import to_records
from scorehouse.bundles.bundle import Manifest
from scorehouse.scoring.classes import chance_column
from scorehouse.stores.store import Document, Store
from scorehouse.tables.cells import is_missing
from scorehouse.usecase import Feature

DOOR = "batch"
PREDICTION_ID = "prediction_id"
CUSTOMER_ID = "customer_id"
_WHOLE = re.compile(r"-?[0-9]+\.0")
AT_ONCE = 2_000  # rows that are documents at a time: a document takes about thirty times the memory of its row


def prediction_ids(chunk: pa.Table, day: date, run_id: str, positions: Iterable[int]) -> list[str]:
    """Return the ids of a chunk, (n,): the file's own, or else made of day, run and the row's position in the input.

    The same model gives a row the same id each time, so that a day can be repeated. Another model gives it another id.
    """
    made = [f"{DOOR}-{day}-{run_id[:8]}-{row}" for row in positions]
    if PREDICTION_ID not in chunk.schema.names:
        return made
    given = [_text(value) for value in chunk[PREDICTION_ID].to_pylist()]
    return [id_ or instead for id_, instead in zip(given, made, strict=True)]


def chance_columns(manifest: Manifest) -> list[str]:
    """Return the columns of the chances of several classes, in their order; none for other tasks."""
    return [chance_column(name) for name in manifest.classes]


def log_answers(store: Store, file: Path, manifest: Manifest, features: Sequence[Feature], now: datetime) -> int:
    """Store every row of the finished answers `file`; return how many were stored before with another record.

    Repeating it changes nothing: the first record and answer of an id are kept. Memory does not grow with the rows.

    Raises:
        StoreUnavailable: some rows may not be stored; try again later.
    """
    conflicts = 0
    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches(AT_ONCE):
            conflicts += len(
                store.add(list(_documents(pa.Table.from_batches([batch]), manifest, features, now))).conflicts
            )
    return conflicts


def _documents(rows: pa.Table, manifest: Manifest, features: Sequence[Feature], now: datetime) -> Iterator[Document]:
    """Yield each row as a document of the store."""
    records = to_records(rows, features, {})
    customers = rows[CUSTOMER_ID].to_pylist() if CUSTOMER_ID in rows.schema.names else [None] * rows.num_rows
    columns = (rows[PREDICTION_ID].to_pylist(), _predictions(rows, manifest), customers)
    for record, id_, answer, customer in zip(records, *columns, strict=True):
        yield {
            "prediction_id": id_,
            "use_case": manifest.use_case,
            "model_run_id": manifest.run_id,
            "created_at": now.isoformat(),
            "door": DOOR,
            "record": record,
            "prediction": answer,
            "customer_id": customer if customer is None else _text(customer) or None,
        }


def _predictions(rows: pa.Table, manifest: Manifest) -> list[Any]:
    """Return the predictions as the store has them: numbers, or the chances of several classes."""
    if not manifest.classes:
        return list(rows[manifest.answer].to_pylist())
    return [list(chances) for chances in zip(*(rows[n].to_pylist() for n in chance_columns(manifest)), strict=True)]


def _text(value: Any) -> str:
    """Return an id as doors have it, and nothing for a gap. A column of numbers with gaps holds 7 as 7.0 or "7.0"."""
    if is_missing(value):
        return ""
    text = str(value)
    return text.removesuffix(".0") if _WHOLE.fullmatch(text) else text
