"""What the simulated business sends: records of the use case with their outcomes, usual, invalid or drifting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import orjson
import pandas as pd

from scorehouse.errors import TableError, UseCaseError
from scorehouse.tables.cells import to_value, to_values
from scorehouse.tables.frames import read_frame
from scorehouse.usecase import Feature, UseCase
from simulation_business.traffic.faults import spoil

CHUNK = 200  # rows that are generated at once, with the same drift
INVALID_SHARE = 0.2  # of the records of the profile `invalid`


@dataclass(frozen=True, slots=True)
class Row:
    """One customer of the business: the record, the customer's id, and what really happened.

    Of several classes, an outcome is the place of the class, as in the store.
    """

    record: dict[str, Any]
    customer_id: str | int
    outcome: float


@dataclass(frozen=True, slots=True)
class Case:
    """One record to send: `body` is what goes over the wire, `fault` names what is wrong with it, if anything."""

    prediction_id: str
    customer_id: str | int
    body: bytes
    outcome: float | str | int  # as a client reports it
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """No drift before record `after`, then more and more of it, up to 1 at record `after + over`."""

    after: int
    over: int

    def at(self, record: int) -> float:
        """Return the drift of a record by its number: 0 to 1."""
        return min(max((record - self.after) / self.over, 0.0), 1.0)


NO_DRIFT = Drift(2**62, 1)


def generate_rows(use_case: UseCase, seed: int, drift: Drift = NO_DRIFT) -> Iterator[Row]:
    """Yield rows of the use case's own sample forever. The same arguments give the same rows; none was trained on.

    Raises:
        UseCaseError: the sample fails, or has no rows, or no column that `clean` or a required feature needs.
    """
    number = 0
    for chunk in count():
        state = int(np.random.SeedSequence([seed, chunk]).generate_state(1)[0])
        rows = _sample_rows(use_case, use_case.draw_sample(CHUNK, state, drift.at(number)))
        # A sample numbers its customers from 1 each time it is asked, or not at all.
        yield from (replace(row, customer_id=f"{chunk}-{row.customer_id}") for row in rows)
        number += len(rows)


def read_rows(use_case: UseCase, path: Path, random: Random) -> Iterator[Row]:
    """Yield the rows of the raw table at `path` forever, each round in another order.

    Raises:
        TableError: the table does not exist, has no column that the use case needs, or has no rows.
    """
    try:
        rows = list(
            to_rows(use_case, read_frame(path.read_bytes(), str(path), use_case.table_features, use_case.missing).table)
        )
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise TableError(f"{path} cannot be read as a table of {use_case.name}: {error}") from error
    if not rows:
        raise TableError(f"{path} has no rows")
    return _repeat_shuffled(rows, random)


def _sample_rows(use_case: UseCase, drawn: Mapping[str, Any]) -> list[Row]:
    try:
        rows = list(to_rows(use_case, pd.DataFrame(drawn)))
    except Exception as error:  # what a page's clean raises
        fault = f"{type(error).__name__}: {error}"
        raise UseCaseError(f"use_cases/{use_case.name}.py: clean cannot read its own sample: {fault}") from error
    if not rows:
        raise UseCaseError(f"use_cases/{use_case.name}.py: sample({CHUNK}, …) gives no rows, so nothing can be sent")
    if absent := [f.name for f in use_case.features if f.required and f.name not in rows[0].record]:
        raise UseCaseError(f"use_cases/{use_case.name}.py: sample gives no {absent[0]!r}, which every record needs")
    return rows


def _repeat_shuffled(rows: list[Row], random: Random) -> Iterator[Row]:
    while True:
        random.shuffle(rows)
        yield from rows


def to_rows(use_case: UseCase, table: pd.DataFrame) -> Iterator[Row]:
    """Yield the rows of a raw table with their records.

    Whole numbers are int, dates and times are text as a door takes it, and empty optional fields are left out.
    """
    clean = use_case.clean(table).reset_index(drop=True)
    features = [f for f in use_case.features if f.name in clean]
    dates: dict[str, Any] = {f.name: to_values(clean[f.name].tolist(), f) for f in features if f.is_time}
    clean = clean.assign(**dates) if dates else clean
    has_key = use_case.key in clean
    for position, raw in enumerate(clean.to_dict("records")):
        values = [(f, _value(f, raw[f.name])) for f in features]
        record = {f.name: value for f, value in values if f.required or value is not None}
        yield Row(
            record, _plain(raw[use_case.key]) if has_key else str(position), _outcome(use_case, raw[use_case.target])
        )


def _outcome(use_case: UseCase, cell: Any) -> float:
    """Return the outcome in a cell of the target: a number, or the place of a class."""
    if not use_case.classes:
        return float(cell)
    return float(use_case.classes.index(to_value(cell, use_case.target_feature)))


def to_cases(
    use_case: UseCase, rows: Iterable[Row], seed: int, invalid: float = 0.0, bare: float = 0.0, wrap: bool = False
) -> Iterator[Case]:
    """Yield the cases to send, with the ids `sim-<seed>-<n>`.

    A share `bare` of them has only required fields, and a share `invalid` has a fault. `wrap` puts the records into the
    use case's stream envelope, if it has one.
    """
    required = {f.name for f in use_case.features if f.required}
    for n, row in enumerate(rows):
        random = Random(f"{seed}:{n}")  # noqa: S311 - traffic is not secret
        record = row.record
        prediction_id = f"sim-{seed}-{n}"
        if random.random() < bare:
            record = {k: v for k, v in record.items() if k in required}
        fault, sent_share = None, 1.0
        if random.random() < invalid:
            fault, record, sent_share = spoil(use_case, record, random)
        ids = {"prediction_id": prediction_id, "customer_id": row.customer_id}
        wrapped = {use_case.envelope.features: record} if wrap and use_case.envelope else record
        body = orjson.dumps({**ids, **wrapped})
        outcome = use_case.classes[int(row.outcome)] if use_case.classes else row.outcome
        yield Case(prediction_id, row.customer_id, body[: int(len(body) * sent_share)], outcome, fault)


def _value(feature: Feature, raw: Any) -> Any:
    value = _plain(raw)
    if feature.kind == "boolean" and value in {0, 1}:
        return bool(value)
    if isinstance(value, float) and value.is_integer() and feature.kind != "number":
        return int(value)  # a gap in the column turned its whole numbers and codes into floats
    return value


def _plain(raw: Any) -> Any:
    if pd.isna(raw):
        return None
    return raw.item() if hasattr(raw, "item") else raw
