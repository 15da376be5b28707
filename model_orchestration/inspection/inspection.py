"""Inspects a table: what each column is, which contain the answer, and which names rows that belong together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from model_orchestration.inspection.kinds import Column, inspect_column, looks_like_an_id
from model_orchestration.inspection.leaks import without_leaks
from model_orchestration.inspection.target import Target, candidates, find_target
from scorehouse.errors import TableError
from scorehouse.tables.frames import Frame
from scorehouse.usecase import Feature

_LEAST_KEYS = 20
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

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features of the use case."""
        return tuple(column.feature for column in self.columns if column.feature is not None)


def inspect_table(
    frame: Frame, source: str, target: str, key: str = "", progress: Callable[[float], None] = lambda _: None
) -> Inspection:
    """Return what `frame`, read from `source`, is. `progress` is told the share that is done, 0 to 1.

    Raises:
        TableError: the target or the key is not a column, nothing can be learnt, or no column is left to learn from.
    """
    names = [str(name) for name in frame.table.columns]
    columns: dict[str, Column] = {}
    for place, name in enumerate(names):
        columns[name] = inspect_column(frame, name)
        progress(0.5 * (place + 1) / len(names))
    if not target:
        raise TableError(_choose(list(columns.values())))
    found = find_target(columns, target)
    if key and key not in columns:
        raise TableError(f"KEY is {key!r}, but no column is called so (columns: {', '.join(names)})")
    if key == target:
        raise TableError(f"KEY is the target, {target!r}: name another column, or leave KEY out")
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
    roles = {target: f"target: {found.task}", proposed: f"key: rows of one value stay on one side of the split{guess}"}
    in_order = [judged.get(name) or replace(columns[name], feature=None, left_out=roles[name]) for name in names]
    return Inspection(
        file=Path(source).name,
        rows=len(frame.table),
        read_as=frame.read_as,
        columns=tuple(in_order),
        target=found,
        key=proposed,
    )


def _propose_key(columns: list[Column], target: str, rows: int) -> str:
    """Return the first column that is named like an identifier, and of which many values name several rows."""
    for column in columns:
        names_groups = _LEAST_KEYS <= column.distinct <= _REPEATED * rows and column.distinct > rows / 50
        if column.name != target and names_groups and not column.missing and looks_like_an_id(column.name):
            return column.name
    return ""


_TASKS = {"binary": "two classes", "multiclass": "classes", "ordinal": "ordered classes", "amount": "an amount"}
_MOST_SHOWN = 20


def _choose(columns: list[Column]) -> str:
    known = {column.name: column for column in columns}
    targets = []
    for name in candidates(columns):
        with suppress(TableError):
            targets.append(find_target(known, name))
    if not targets:
        return "no column could be a target: it must have a few different values, or be a number"
    shown = "".join(f"\n  {t.name}: {_TASKS[t.task]}, {t.column.shown}" for t in targets[:_MOST_SHOWN])
    more = f"\n  and {len(targets) - _MOST_SHOWN} more" if len(targets) > _MOST_SHOWN else ""
    return f"choose what to predict, such as TARGET={targets[0].name!r}:{shown}{more}"


def _reasons(columns: object) -> str:
    return "; ".join(f"{column.name} ({column.left_out})" for column in columns)  # type: ignore[attr-defined]
