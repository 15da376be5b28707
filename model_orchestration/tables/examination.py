"""Examines a cleaned table against its page. A bad cell is named as the raw table has it: column, row and value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_orchestration.tables.cleaning import Cleaned, clean_table, draw_sample
from model_orchestration.tables.derived import try_derive
from model_orchestration.tables.diagnosis import Diagnosis
from model_orchestration.tables.faults import write
from model_orchestration.tables.lineage import find_parents
from model_orchestration.tables.reading import Reading, with_cells
from scorehouse.errors import TableError
from scorehouse.tables.frames import Frame, frame_of
from scorehouse.usecase import UseCase

MOST_SHOWN = 3  # readings of cells that a note shows


@dataclass(frozen=True, slots=True)
class Examined:
    """A table without faults: its cleaned form, records and truth (n,), what columns are made of, and what to say."""

    cleaned: Cleaned
    records: list[dict[str, Any]]
    truth: NDArray[np.float64]
    parents: Mapping[str, tuple[str, ...]]
    notes: list[str] = field(default_factory=list)


def examine(frame: Frame, use_case: UseCase, cleaned: Cleaned, keep: Callable[[Cleaned], Cleaned]) -> Examined:
    """Check every cell of a cleaned table, of which `keep` returns the rows that count.

    A cell that stands for a level unambiguously, in another case or as its code, is read as that level and counted.

    Raises:
        TableError: cells that cannot be read, each by its raw column, row and value, in one line.
    """
    names = [c for c in cleaned.table.columns if c in _names(use_case)]
    kept = np.unique(
        cleaned.positions[cleaned.positions >= 0]
    )  # rows that `clean` drops would hide what depends on what
    parents = find_parents(use_case.clean, cleaned.raw.iloc[kept], names, lambda: draw_sample(use_case))
    reading = Reading(frame, use_case, parents)
    contents = reading.look(cleaned)
    notes = [*_empty_columns(frame, parents), *_trimmed(frame, parents)]
    for name, folded in contents.folded.items():
        if len(parents[name]) == 1:
            by_position = {int(cleaned.positions[row]): value for row, value in folded.items()}
            notes.append(_describe_readings(parents[name][0], by_position, frame))
    if contents.bad and (readings := reading.interpret(cleaned, contents)):
        raw = _replace(cleaned.raw, readings)
        again = keep(clean_table(frame_of(raw), use_case))
        read = reading.look(again)
        for column, cells in readings.items():
            done = {p: value for p, value in cells.items() if not reading.is_bad(again, read, column, p)}
            notes += [_describe_readings(column, done, frame)] if done else []
        cleaned, contents = replace(again, raw=raw, unreadable=cleaned.unreadable | again.unreadable), read
    faults = Diagnosis(reading).name_faults(cleaned, contents)
    if faults.cells:
        raise TableError(faults.describe(frame))
    notes += [*_unseen(use_case, contents.records, parents), *try_derive(use_case, contents.records, cleaned, frame)]
    return Examined(cleaned, contents.records, contents.truth, parents, notes)


def _unseen(
    use_case: UseCase, records: Sequence[Mapping[str, Any]], parents: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    for feature in (f for f in use_case.features if f.unseen == "missing" and not f.is_learnt):
        known = {*feature.categories, None}
        counts = Counter(value for r in records if (value := r.get(feature.name)) not in known)
        if counts:
            shown = ", ".join(write(value) for value, _ in counts.most_common(MOST_SHOWN))
            name = " and ".join(parents.get(feature.name, ())) or feature.name
            yield (
                f"{name}: {counts.total():,} of {len(records):,} rows have a category that the page does not declare, "
                f"and count as missing: {shown}{', …' if len(counts) > MOST_SHOWN else ''}"
            )


def _empty_columns(frame: Frame, parents: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for column in _used(parents):
        if frame.table[column].isna().all():
            yield f"{column}: all {len(frame.table):,} cells are empty"


def _trimmed(frame: Frame, parents: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for column in _used(parents):
        if frame.raw is None or frame.table[column].dtype != object:
            continue
        blanks = sum(isinstance(cell, str) and cell.strip() not in {"", cell} for cell in frame.raw[column].to_pylist())
        if blanks:
            yield f"{column}: blanks around {blanks:,} of {len(frame.table):,} cells were removed"


def _used(parents: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the raw columns that are used, once each."""
    return list(dict.fromkeys(raw for found in parents.values() for raw in found))


def _names(use_case: UseCase) -> set[str]:
    others = {use_case.target, use_case.key, use_case.dated, use_case.split_by} - {""}
    return {f.name for f in use_case.features} | others


def _replace(raw: pd.DataFrame, readings: Mapping[str, Mapping[int, Any]]) -> pd.DataFrame:
    replaced = raw.copy()
    for column, cells in readings.items():
        replaced[column] = with_cells(raw[column], list(cells), list(cells.values()))
    return replaced


def _describe_readings(column: str, cells: Mapping[int, Any], frame: Frame) -> str:
    counts = Counter((write(frame.table[column].iloc[position]), write(value)) for position, value in cells.items())
    shown = ", ".join(f"{given} as {read}" for (given, read), _ in counts.most_common(MOST_SHOWN))
    more = f" and {len(counts) - MOST_SHOWN} more" if len(counts) > MOST_SHOWN else ""
    return f"{column}: {len(cells):,} of {len(frame.table):,} cells were read as what they stand for: {shown}{more}"
