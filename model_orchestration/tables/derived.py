"""Tries the page's `derive` on every record of a table: what it cannot derive is refused by row, or said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from model_orchestration.tables.cleaning import Cleaned
from model_orchestration.tables.faults import write
from scorehouse.errors import TableError
from scorehouse.pages.derivation import value_fault
from scorehouse.pages.records import shown
from scorehouse.scoring.derivation import derivation
from scorehouse.scoring.field_schema import MOST
from scorehouse.tables.frames import Frame
from scorehouse.usecase import Feature, UseCase, as_it_is


def try_derive(
    use_case: UseCase, records: Sequence[Mapping[str, Any]], cleaned: Cleaned, frame: Frame
) -> Iterator[str]:
    """Yield, by derived feature, in how many rows it is missing without a reason, or outside its declared bounds.

    Raises:
        TableError: `derive` fails on a record, or gives what the feature cannot have.
    """
    if use_case.derive is as_it_is or not records:
        return

    def row(i: int) -> str:
        position = cleaned.positions[i]
        return f"row {frame.rows[position]}" if position >= 0 else "a row"

    missing: dict[str, list[int]] = {f.name: [] for f in use_case.derived}
    outside: dict[str, list[tuple[int, Any]]] = {f.name: [] for f in use_case.derived}
    derive = derivation(use_case.features, use_case.derive)
    for i, record in enumerate(records):
        try:
            derived = derive(record)
        except Exception as error:
            why = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise TableError(
                f"{row(i)}: derive of use_cases/{use_case.name}.py raises {why} for {shown(record, 300)}"
            ) from error
        for feature in use_case.derived:
            value = derived.get(feature.name)
            if type(value) is float and feature.kind == "number" and -MOST <= value <= MOST:
                pass  # nearly all are, and this takes a tenth of the time
            elif fault := value_fault(feature, value):
                said = f"derive of use_cases/{use_case.name}.py gives {feature.name!r} {fault} for {shown(record, 300)}"
                raise TableError(f"{row(i)}: {said}")
            elif value is None or value != value:  # noqa: PLR0124 - NaN
                if None not in record.values():
                    missing[feature.name].append(i)
                continue
            if _is_outside(feature, value):
                outside[feature.name].append((i, value))
    count = len(records)
    for feature in use_case.derived:
        if rows := missing[feature.name]:
            yield (
                f"{feature.name}: derive gives no value for {len(rows):,} of {count:,} records, although they are "
                f"complete (first {row(rows[0])})"
            )
        if found := outside[feature.name]:
            bounds = feature.allowed.removesuffix(", or null")
            yield (
                f"{feature.name}: derive gives {len(found):,} of {count:,} records a value that is not {bounds} "
                f"(first {row(found[0][0])}: {write(found[0][1])})"
            )


def _is_outside(feature: Feature, value: Any) -> bool:
    low, high = feature.low, feature.high
    return (low is not None and value < low) or (high is not None and value > high)
