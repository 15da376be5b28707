"""Reads a cleaned table against its page: its records and outcomes, and which cells are bad or stand for a level."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_orchestration.tables.cleaning import Cleaned, clean_once, clean_table, draw_sample, to_numbers
from model_orchestration.tables.faults import one_of
from model_orchestration.tables.levels import Levels, fold
from scorehouse.errors import TableError
from scorehouse.scoring.field_schema import MOST
from scorehouse.scoring.schema import RecordSchema, Rejected
from scorehouse.tables.cells import Notation, find_mark, is_missing, to_values
from scorehouse.tables.dates import day_orders, parse_day
from scorehouse.tables.frames import Frame, frame_of
from scorehouse.usecase import Feature, UseCase

# Objectives of XGBoost and the amounts that they can learn.
AMOUNTS = {"reg:gamma": "a number above 0", "reg:tweedie": "a number from 0", "count:poisson": "a number from 0"}


@dataclass(frozen=True, slots=True)
class Contents:
    """The rows of a cleaned table: records as the schema returns them, truth (n,), and the bad cells.

    `refused` and `lost` are rows by cleaned column: what the schema refuses, and what `clean` made a missing value of.
    `folded` are categories that were read though they were written in another case, by cleaned column and row.
    """

    records: list[dict[str, Any]]
    truth: NDArray[np.float64]
    refused: dict[str, list[int]]
    lost: dict[str, list[int]]
    folded: dict[str, dict[int, Any]]

    @property
    def bad(self) -> dict[str, list[int]]:
        """The rows with a bad cell, by cleaned column."""
        columns = dict.fromkeys([*self.refused, *self.lost])
        return {c: sorted({*self.refused.get(c, ()), *self.lost.get(c, ())}) for c in columns}


class Reading:
    """Reads one raw table, again after cells have been replaced; what it learns of the table's levels stays."""

    def __init__(self, frame: Frame, use_case: UseCase, parents: Mapping[str, tuple[str, ...]]):
        self.frame = frame
        self.use_case = use_case
        self.parents = parents
        self.features = {f.name: f for f in use_case.features}
        self._schema = RecordSchema(use_case.features)
        self._sample: Cleaned | None = None
        self._levels: dict[str, Levels] = {}

    def look(self, cleaned: Cleaned) -> Contents:
        """Return the rows of a cleaned table and its bad cells."""
        table = cleaned.table
        columns = {n: self.values(cells_of(table[n]), f) for n, f in self.features.items() if n in table}
        records: list[dict[str, Any]] = []
        refused: dict[str, list[int]] = {}
        # By columns it takes half the time of to_dict("records").
        for i, row in enumerate(zip(*columns.values(), strict=True) if columns else [()] * len(table)):
            result = self._schema.check(dict(zip(columns, row, strict=True)))
            if isinstance(result, Rejected):
                for error in result.errors:
                    refused.setdefault(error.field, []).append(i)
            else:
                records.append(result)
        truth, bad_truth = self.truth(table[self.use_case.target])
        if len(bad_truth):
            refused[self.use_case.target] = bad_truth.tolist()
        if (dated := self.use_case.dated) and dated in table and (undated := self._days(table[dated]).isna()).any():
            refused[dated] = np.flatnonzero(undated).tolist()
        lost = {name: rows for name, rows in self._lost(cleaned, columns) if rows}
        return Contents(records, truth, refused, lost, self._folded(table, columns))

    def _folded(self, table: pd.DataFrame, columns: Mapping[str, Sequence[Any]]) -> dict[str, dict[int, Any]]:
        """Return the categories that are not as their cells are written."""
        folded: dict[str, dict[int, Any]] = {}
        for name, values in columns.items():
            if self.features[name].kind == "category" and table[name].dtype == object:
                cells = enumerate(zip(table[name], values, strict=True))
                changed = {i: v for i, (cell, v) in cells if isinstance(cell, str) and isinstance(v, str) and cell != v}
                folded |= {name: changed} if changed else {}
        return folded

    def _lost(self, cleaned: Cleaned, columns: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, list[int]]]:
        """Yield the rows whose cell became a missing value, though the raw cell that makes it is none."""
        known = cleaned.positions >= 0
        key = self.use_case.key
        values = {**columns, **({key: cells_of(cleaned.table[key])} if key in cleaned.table else {})}
        for name, cells in values.items():
            feature = self.features.get(name)
            parents = self.parents.get(name, ())
            if len(parents) != 1 or (feature and feature.unseen == "missing"):
                continue
            missing = np.array([cell is None for cell in cells]) & known
            if missing.any():
                raw = cleaned.raw[parents[0]].to_numpy(dtype=object)
                rows = [int(i) for i in np.flatnonzero(missing) if not self.is_gap(raw[cleaned.positions[i]])]
                yield name, self._own_fault(name, rows, cleaned) if rows else []

    def _own_fault(self, name: str, rows: list[int], cleaned: Cleaned) -> list[int]:
        """Return the rows whose missing cell would not be missing with a raw cell that `clean` reads.

        The others are made of other rows: the first row has no amount of the row before.
        """
        donors = self.donors(rows, cleaned, self.parents[name])
        if donors is None:
            return rows
        raw = self.parents[name][0]
        repaired = cleaned.raw.assign(**{raw: with_cells(cleaned.raw[raw], cleaned.positions[rows], donors[raw])})
        column = self.clean_column(name, repaired, cleaned.positions[rows])
        return rows if column is None else [row for row, cell in zip(rows, column, strict=True) if not is_missing(cell)]

    def is_gap(self, cell: Any) -> bool:
        """Return whether a raw cell has no value, or one that the page declares as a mark for none."""
        return is_missing(cell) or any(fold(cell) == fold(mark) for mark in self.use_case.missing)

    def is_bad(self, cleaned: Cleaned, contents: Contents, column: str, position: int) -> bool:
        """Return whether a raw cell still makes a bad cell."""
        return any(
            position in cleaned.positions[rows]
            for name, rows in contents.bad.items()
            if column in self.parents.get(name, ())
        )

    def interpret(self, cleaned: Cleaned, contents: Contents) -> dict[str, dict[int, Any]]:
        """Return what bad cells may stand for, by raw column and position."""
        readings: dict[str, dict[int, Any]] = {}
        for name, rows in contents.bad.items():
            raw = self.parents.get(name, ())
            if len(raw) != 1:
                continue
            levels = self.levels(name, cleaned, contents)
            found: dict[Any, Any] = {}
            for position in cleaned.positions[rows]:
                value = self.frame.table.at[position, raw[0]] if position >= 0 else None
                if value is None or self.is_gap(value):
                    continue
                if (reading := found.setdefault(value, levels.interpret(value))) is not None:
                    readings.setdefault(raw[0], {})[int(position)] = reading
        return readings

    def levels(self, name: str, cleaned: Cleaned, contents: Contents) -> Levels:
        """Return the levels that `clean` reads in the raw column of the cleaned column `name`."""
        if name not in self._levels:
            feature = self.features.get(name)
            outcomes: tuple[Any, ...] = ()
            if name == self.use_case.target:
                outcomes = (0, 1) if self.use_case.task == "binary" else self.use_case.classes
            levels = Levels(feature, outcomes)
            (raw,) = self.parents[name]
            bad = set(contents.bad.get(name, ()))
            good = [i for i, p in enumerate(cleaned.positions) if p >= 0 and i not in bad]
            levels.learn(*self._pairs(cleaned, raw, name, good), here=True)
            sample = self.clean_sample()
            if sample and raw in sample.raw and name in sample.table:
                levels.learn(*self._pairs(sample, raw, name, range(len(sample.table))), here=False)
            self._levels[name] = levels
        return self._levels[name]

    def _pairs(self, cleaned: Cleaned, raw: str, name: str, rows: Sequence[int]) -> tuple[list[Any], list[Any]]:
        feature = self.features.get(name)
        cells = cells_of(cleaned.table[name].iloc[list(rows)])
        values = self.values(cells, feature) if feature else cells
        return cells_of(cleaned.raw[raw].iloc[cleaned.positions[list(rows)]]), values

    def values(self, cells: list[Any], feature: Feature) -> list[Any]:
        """Return the values of cleaned cells. Text that `clean` left alone is read as the batch and /invocations do.

        So what the file's first rows do not tell apart, such as 1,234 between semicolons, is no value here either.
        """
        return to_values(cells, feature, self._notation(cells, feature))

    def truth(self, column: pd.Series[Any]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        target = self.use_case.target_feature
        notation = self._notation(column.tolist(), target)
        return read_truth(column, self.use_case, None if notation is None else notation.decimal)

    def _days(self, column: pd.Series[Any]) -> pd.Series[Any]:
        (parent,) = self.parents.get(self.use_case.dated, ()) or (None,)
        return parse_days(column, self.frame, parent)

    def _notation(self, cells: Sequence[Any], feature: Feature) -> Notation | None:
        """Return how the text in a cleaned column is written; None if it shows that by itself.

        That of the file, as every door judges it, if `clean` left the text alone. Text that `clean` changed has its
        own, and the file's where it shows none.
        """
        text = {cell for cell in cells if isinstance(cell, str)}
        parents = self.parents.get(feature.name, ())
        if not text or self.frame.notations is None or len(parents) != 1:
            return None
        of_file = self.frame.notations.of(feature, parents[0])
        raw = {cell for cell in self.frame.table[parents[0]] if isinstance(cell, str)}
        if text <= raw:
            return of_file
        mark = find_mark([cell for cell in cells if isinstance(cell, str)])
        decimal = self.frame.notations.decimal_of_others if mark == "either" else mark or "."
        return Notation(decimal, day_orders(text) or of_file.days)

    def clean_sample(self) -> Cleaned | None:
        if self._sample is None and (sample := draw_sample(self.use_case)) is not None:
            with suppress(TableError):  # without a sample, messages say less
                self._sample = clean_table(frame_of(sample), self.use_case)
        return self._sample

    def donors(self, rows: list[int], cleaned: Cleaned, parents: Sequence[str]) -> dict[str, list[Any]] | None:
        """Return cells for the rows from rows that are good, of the table or else of the sample."""
        bad = set(rows)
        good = [
            int(cleaned.positions[i]) for i in range(len(cleaned.table)) if i not in bad and cleaned.positions[i] >= 0
        ]
        source = cleaned.raw
        good = self._without_gaps(source, good, parents)
        if not good:
            sample = self.clean_sample()
            if sample is None or not set(parents) <= set(sample.raw.columns):
                return None
            source = sample.raw
            good = self._without_gaps(source, range(len(source)), parents)
            if not good:
                return None
        chosen = [good[i % len(good)] for i in range(len(rows))]
        return {raw: source[raw].iloc[chosen].tolist() for raw in parents}

    def _without_gaps(self, raw: pd.DataFrame, positions: Iterable[int], columns: Sequence[str]) -> list[int]:
        gaps = np.any([[self.is_gap(cell) for cell in raw[column]] for column in columns], axis=0)
        return [position for position in positions if not gaps[position]]

    def clean_column(self, name: str, raw: pd.DataFrame, positions: NDArray[np.int64]) -> pd.Series[Any] | None:
        """Return a cleaned column of another raw table at `positions`, or None if `clean` drops some of them."""
        try:
            cleaned = clean_once(self.use_case, raw)
        except Exception:
            return None
        found = pd.Series(range(len(cleaned.table)), index=cleaned.positions)
        if name not in cleaned.table or not found.index.is_unique or not set(positions) <= set(found.index):
            return None
        return cleaned.table[name].iloc[found.reindex(positions).to_numpy()]


def read_truth(
    column: pd.Series[Any], use_case: UseCase, decimal: str | None = None
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the outcomes in a cleaned column, (n,), and the positions of those that are none.

    Of several classes, an outcome is the place of the class. Without a `decimal` mark, it is the one that the column
    shows.
    """
    if use_case.classes:
        cells = to_values(cells_of(column), use_case.target_feature)
        places = {name: place for place, name in enumerate(use_case.classes)}
        truth = np.array([places.get(c, np.nan) if isinstance(c, str | int) else np.nan for c in cells], dtype=float)
        return truth, np.flatnonzero(np.isnan(truth))
    if decimal is None:
        mark = find_mark([cell for cell in column if isinstance(cell, str)])
        decimal = mark if mark == "," else "."
    truth = to_numbers(column, decimal).to_numpy(dtype=float, na_value=np.nan)
    bad = ~(np.abs(truth) <= MOST)  # which NaN is not either
    if use_case.task == "binary":
        bad |= ~np.isin(truth, (0, 1))
    elif use_case.task == "ordinal":
        bad |= np.mod(truth, 1) != 0
    else:
        allowed = wanted_outcome(use_case)
        bad |= (truth <= 0) if allowed.endswith("above 0") else (truth < 0) if allowed.endswith("from 0") else False
    return truth, np.flatnonzero(bad)


def parse_days(column: pd.Series[Any], frame: Frame, parent: str | None = None) -> pd.Series[Any]:
    """Return the days of a column of dates or of text, as every table is read; NaT for anything else.

    `parent` is the raw column of `frame` from which it comes: by default the one of its name, if there is one.
    """
    text = column.astype(str)
    order = day_order(column, frame, parent)
    return pd.to_datetime(text.map({cell: parse_day(cell, order) for cell in text.unique()}), format="%Y-%m-%d")


def day_order(column: pd.Series[Any], frame: Frame, parent: str | None = None) -> str:
    """Return the order of days whose year comes last: that of the file, as every door judges it, if it is its text."""
    parent = str(column.name) if parent is None else parent
    if frame.notations is not None and parent in frame.table and set(column.dropna()) <= set(frame.table[parent]):
        return frame.notations.of(Feature(name=parent, kind="date", help="a day")).days
    return day_orders(column.astype(str).unique())


def wanted_outcome(use_case: UseCase) -> str:
    """Return in words what a cell of the target must be."""
    if use_case.classes:
        return one_of(use_case.classes)
    if use_case.task == "binary":
        return "0 or 1"
    if use_case.task == "ordinal":
        return "a whole number"
    objectives = [str(e.fixed.get("objective")) for e in use_case.estimators]
    return next((AMOUNTS[objective] for objective in objectives if objective in AMOUNTS), "a number")


def cells_of(column: pd.Series[Any]) -> list[Any]:
    """Return the cells of a column as plain Python values, None for gaps."""
    return column.astype(object).where(column.notna(), None).tolist()


def with_cells(
    column: pd.Series[Any], positions: Sequence[int] | NDArray[np.int64], cells: list[Any]
) -> pd.Series[Any]:
    """Return a column with other cells at `positions`."""
    changed = column.to_numpy(dtype=object, copy=True)
    changed[np.asarray(positions)] = np.array([*cells, None], dtype=object)[:-1]
    return pd.Series(changed, index=column.index, dtype=object).infer_objects()
