"""What the simulated business sends: records of the use case with their truth, usual, invalid or drifting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import orjson
import pandas as pd

from scorehouse.errors import TableError
from scorehouse.usecase import Feature, UseCase
from simulation_business.traffic.faults import spoil

CHUNK = 200  # rows that are generated at once, all with the same drift
INVALID_SHARE = 0.2  # of the profile `invalid`


@dataclass(frozen=True, slots=True)
class Row:
    """One customer of the business: the record, whose it is, and what really happened."""

    record: dict[str, Any]
    customer_id: str | int
    outcome: float


@dataclass(frozen=True, slots=True)
class Case:
    """One record to be sent: `body` is what goes over the wire; `fault` names what is wrong with it, if anything."""

    prediction_id: str
    customer_id: str | int
    body: bytes
    outcome: float
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """No drift before record `after`, then ever more, and all of it (1) from record `after + over` on."""

    after: int
    over: int

    def at(self, place: int) -> float:
        """Return the drift, 0 to 1, of record `place`."""
        return min(max((place - self.after) / self.over, 0.0), 1.0)


NO_DRIFT = Drift(2**62, 1)


def generated(use_case: UseCase, seed: int, drift: Drift = NO_DRIFT) -> Iterator[Row]:
    """Yield rows of the use case's own sample for ever: the same for the same arguments, none that was trained on."""
    place = 0
    for chunk in count():
        state = int(np.random.SeedSequence([seed, chunk]).generate_state(1)[0])
        for row in rows(use_case, pd.DataFrame(use_case.sample(CHUNK, state, drift.at(place)))):
            yield row
            place += 1


def of_table(use_case: UseCase, path: Path, random: Random) -> Iterator[Row]:
    """Yield the rows of the raw table at `path` (CSV or Parquet) for ever, each round in another order.

    Raises:
        TableError: there is no such table, it lacks what the use case needs, or it has no rows.
    """
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, sep=None, engine="python")
        found = list(rows(use_case, table))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise TableError(f"{path} cannot be read as a table of {use_case.name}: {error}") from error
    if not found:
        raise TableError(f"{path} has no rows")
    return _rounds(found, random)


def _rounds(found: list[Row], random: Random) -> Iterator[Row]:
    while True:
        random.shuffle(found)
        yield from found


def rows(use_case: UseCase, table: pd.DataFrame) -> Iterator[Row]:
    """Yield the rows of a raw table as records: whole numbers whole, and no optional field that is empty."""
    clean = use_case.clean(table).reset_index(drop=True)
    features = [f for f in use_case.features if f.name in clean]
    has_key = use_case.key in clean
    for place, raw in enumerate(clean.to_dict("records")):
        values = [(f, _value(f, raw[f.name])) for f in features]
        record = {f.name: value for f, value in values if f.required or value is not None}
        yield Row(record, _plain(raw[use_case.key]) if has_key else str(place), float(raw[use_case.target]))


def cases(
    use_case: UseCase, business: Iterable[Row], seed: int, invalid: float = 0.0, bare: float = 0.0, wrap: bool = False
) -> Iterator[Case]:
    """Yield the cases to be sent, with ids `sim-<seed>-<n>`.

    A share `bare` carries only required fields, a share `invalid` a fault; `wrap` uses the use case's stream envelope.
    """
    required = {f.name for f in use_case.features if f.required}
    for n, row in enumerate(business):
        random = Random(f"{seed}:{n}")  # noqa: S311 - traffic is no secret
        record, id_ = row.record, f"sim-{seed}-{n}"
        if random.random() < bare:
            record = {k: v for k, v in record.items() if k in required}
        fault, record, cut = spoil(use_case, record, random) if random.random() < invalid else (None, record, 1.0)
        ids = {"prediction_id": id_, "customer_id": row.customer_id}
        whole = {**ids, use_case.envelope.features: record} if wrap and use_case.envelope else {**ids, **record}
        body = orjson.dumps(whole)
        yield Case(id_, row.customer_id, body[: int(len(body) * cut)], row.outcome, fault)


def _value(feature: Feature, raw: Any) -> Any:
    value = _plain(raw)
    if isinstance(value, float) and value.is_integer() and feature.kind != "number":
        return int(value)  # a column with gaps turned whole numbers and codes to floats
    return value


def _plain(raw: Any) -> Any:
    return None if pd.isna(raw) else raw.item() if hasattr(raw, "item") else raw
