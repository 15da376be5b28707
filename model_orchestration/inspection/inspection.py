"""Inspects a table: what each column is, which contain the answer, and which names rows that belong together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from model_orchestration.inspection.kinds import Column, inspect_column, looks_like_an_id, percent
from model_orchestration.inspection.leaks import without_leaks
from model_orchestration.inspection.target import Target, candidates, find_target
from model_orchestration.tables.faults import closest, write
from model_orchestration.tables.times import LEAST as LEAST_TIMES
from model_orchestration.tables.times import read_times
from scorehouse.errors import TableError
from scorehouse.tables.frames import Frame
from scorehouse.usecase import Feature

_LEAST_KEYS = 20
_LEAST_ROWS = 20  # with an answer: with fewer, no training starts
_SMALL = 200  # rows
_SPLIT, SMALL_SPLIT = (0.7, 0.15), (0.6, 0.2)  # shares of training and validation: that of every page, and a small one
_FEW, _RARE = 50, 20  # rows by which a figure, or a class, is known only roughly
_PER_COLUMN = 5  # rows to learn from that a column should have
_BYTES_PER_CELL = 100  # of memory in a training: 2.5 GB were measured for 100,000 rows of 240 columns
_REPEATED = 0.95  # different values per row up to which a column that looks like an id names groups of rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found in a table. `columns` are those of the file, in its order; the target's has no feature."""

    file: str
    rows: int
    read_as: str
    columns: tuple[Column, ...]
    target: Target
    key: str  # the column that names rows that belong together; empty if none does
    time: str  # the column by which the newest rows judge the model; empty if rows are split by their key

    def gaps(self, column: Column) -> str:
        """Return the share of rows in which a column has no value, as people read it; nothing if all have one."""
        return percent(column.missing / self.rows) if column.missing else ""

    @property
    def is_small(self) -> bool:
        """Whether the table has so few rows that a larger share of them has to judge the model."""
        return self.rows < _SMALL

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a person should know before trusting a model of this table, in sentences."""
        return tuple(_caveats(self))

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features of the use case."""
        return tuple(column.feature for column in self.columns if column.feature is not None)


def inspect_table(
    frame: Frame,
    source: str,
    target: str,
    key: str = "",
    time: str = "",
    progress: Callable[[float], None] = lambda _: None,
) -> Inspection:
    """Return what is in `frame`, which was read from `source`. `progress` gets the share that is done, 0 to 1.

    Raises:
        TableError: the target, the key or the time is not a column that can be one, nothing can be learnt, or no column
            is left to learn from.
    """
    if frame.table.empty:
        raise TableError(f"{Path(source).name} has no rows, so there is nothing to learn")
    names = [str(name) for name in frame.table.columns]
    columns: dict[str, Column] = {}
    for place, name in enumerate(names):
        columns[name] = inspect_column(frame, name)
        progress(0.5 * (place + 1) / len(names))
    if not target:
        raise TableError(_choose(list(columns.values())))
    found = find_target(columns, target)
    if (answers := int(np.isfinite(found.truth()).sum())) < _LEAST_ROWS:
        raise TableError(
            f"only {_rows_have(answers)} a value of {target}, but at least {_LEAST_ROWS} are needed to train a model"
        )
    if key and key not in columns:
        raise TableError(_unknown("KEY", key, columns))
    if key == target:
        raise TableError(f"KEY is the target, {target!r}: name another column, or leave KEY out")
    if time:
        columns[time] = _as_time(columns, time, target)
    proposed = key or _propose_key(list(columns.values()), target, len(frame.table))
    others = [
        replace(column, feature=None) if column.name == proposed else column
        for column in columns.values()
        if column.name != target
    ]
    judged = {c.name: c for c in without_leaks(others, found, progress) if c.name != proposed}
    if not any(column.feature for column in judged.values()):
        raise TableError(f"no column is left from which {target} could be learnt: {_reasons(judged.values())}")
    guess = "" if key else " (guess: its name and its repeated values say so)"
    roles = {target: f"target: {found.words}", proposed: f"key: rows of one value stay on one side of the split{guess}"}
    in_order = [judged.get(name) or replace(columns[name], feature=None, left_out=roles[name]) for name in names]
    return Inspection(
        file=Path(source).name,
        rows=len(frame.table),
        read_as=frame.read_as,
        columns=tuple(in_order),
        target=found,
        key=proposed,
        time=time,
    )


def _unknown(role: str, name: str, columns: Mapping[str, Column]) -> str:
    nearest = closest(name, list(columns))
    meant = f"; did you mean {nearest!r}?" if nearest else ""
    return f"{role} is {name!r}, but no column is called so{meant} (columns: {', '.join(columns)})"


def _as_time(columns: Mapping[str, Column], name: str, target: str) -> Column:
    """Return the column by which rows are split. The model does not see its year: it is asked about later ones.

    Raises:
        TableError: there is no such column, or its cells are neither days nor times nor numbers.
    """
    if name not in columns:
        raise TableError(_unknown("TIME", name, columns))
    if name == target:
        raise TableError(f"TIME is the target, {name!r}: name another column, or leave TIME out")
    column = columns[name]
    times = read_times(column.values)
    is_time = np.isfinite(times) if times.dtype.kind == "f" else ~np.isnat(times)
    known = column.values.notna().to_numpy()
    if not is_time[known].all() or column.values.dtype == bool or not known.any():
        cell = column.values[known & ~is_time].iloc[0] if (known & ~is_time).any() else column.shown
        raise TableError(
            f"TIME is {name!r}, but {write(cell)} is neither a day, a time nor a number, or its order of day and month "
            "is not known: write times as 2018-09-26 or 2018-09-26T13:45, or leave TIME out"
        )
    if column.distinct < LEAST_TIMES:
        raise TableError(
            f"TIME is {name!r}, but it has only {column.distinct} different values: at least {LEAST_TIMES} are needed, "
            "to train, to choose and to judge models"
        )
    guess = "rows are split by it: the newest judge the model"
    feature = column.feature
    if feature is not None and "year" in feature.parts:
        parts = tuple(part for part in feature.parts if part != "year")
        if not parts:
            return replace(column, feature=None, left_out=f"time: {guess}, and its year is later there")
        feature = replace(feature, parts=parts)
        return replace(column, feature=feature, guesses=(f"the model sees its {', '.join(parts)}; {guess}",))
    if feature is None:
        return replace(column, left_out=f"time: {guess}")
    return replace(column, guesses=(*column.guesses, guess))


def _caveats(inspection: Inspection) -> Iterator[str]:
    truth = inspection.target.truth()
    truth = truth[np.isfinite(truth)]
    rows, columns = len(truth), sum(max(1, len(feature.parts)) for feature in inspection.features)
    tested = round(rows * (1 - sum(SMALL_SPLIT if inspection.is_small else _SPLIT)))
    if tested < _FEW:
        yield f"Only about {tested} of {rows:,} rows judge the model, so its figures are rough: collect more rows."
    learnt = rows - tested
    if columns * _PER_COLUMN > learnt:
        yield (
            f"There are {columns:,} columns for {learnt:,} rows to learn from, so some may fit by chance: "
            "delete columns that cannot matter from the page."
        )
    classes, counts = np.unique(truth, return_counts=True)
    if inspection.target.task != "amount" and counts.min() < _RARE:
        names = {code: raw for raw, code in inspection.target.outcomes.items()} | dict(
            enumerate(inspection.target.classes)
        )
        rarest = classes[counts.argmin()]
        name = names.get(int(rarest), f"{rarest:g}")
        yield f"Only {_rows_have(counts.min())} {inspection.target.name} {name}, so the model learns little about them."
    if (gigabytes := rows * columns * _BYTES_PER_CELL / 1e9) > 1:
        yield (
            f"The table is large: a training needs about {gigabytes:.0f} GB of memory, and 50 trials take long "
            "(TRIALS=10 takes a fifth)."
        )


def _propose_key(columns: list[Column], target: str, rows: int) -> str:
    """Return the first column that is named like an identifier, and of which many values name several rows."""
    for column in columns:
        names_groups = _LEAST_KEYS <= column.distinct <= _REPEATED * rows and column.distinct > rows / 50
        if column.name != target and names_groups and not column.missing and looks_like_an_id(column.name):
            return column.name
    return ""


def _rows_have(count: int) -> str:
    return "1 row has" if count == 1 else f"{count:,} rows have"


_MOST_SHOWN = 20


def _choose(columns: list[Column]) -> str:
    known = {column.name: column for column in columns}
    targets = []
    for name in candidates(columns):
        with suppress(TableError):
            targets.append(find_target(known, name))
    if not targets:
        return "no column could be a target: it must have a few different values, or be a number"
    shown = "".join(f"\n  {t.name}: {t.words}, {t.column.shown}" for t in targets[:_MOST_SHOWN])
    more = f"\n  and {len(targets) - _MOST_SHOWN} more" if len(targets) > _MOST_SHOWN else ""
    return f"choose what to predict, such as TARGET={targets[0].name!r}:{shown}{more}"


def _reasons(columns: object) -> str:
    return "; ".join(f"{column.name} ({column.left_out})" for column in columns)  # type: ignore[attr-defined]
