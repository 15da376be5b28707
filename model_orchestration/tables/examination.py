"""Examines a cleaned table against its page. A bad cell is named as the raw table has it: column, row and value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_orchestration.tables.cleaning import Cleaned, clean_once, clean_table, draw_sample, to_numbers
from model_orchestration.tables.derived import try_derive
from model_orchestration.tables.faults import Fault, Faults, one_of, write
from model_orchestration.tables.levels import Levels, fold
from model_orchestration.tables.lineage import find_parents
from scorehouse.errors import TableError
from scorehouse.scoring.field_schema import MOST
from scorehouse.scoring.schema import RecordSchema, Rejected
from scorehouse.tables.cells import Notation, find_mark, is_missing, to_values
from scorehouse.tables.dates import day_orders, parse_day
from scorehouse.tables.frames import Frame, frame_of
from scorehouse.usecase import Feature, Kind, UseCase

MOST_SHOWN = 3  # readings of cells that a note shows
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
    examiner = _Examiner(frame, use_case, parents)
    contents = examiner.look(cleaned)
    notes = [*_empty_columns(frame, parents), *_trimmed(frame, parents)]
    for name, folded in contents.folded.items():
        if len(parents[name]) == 1:
            by_position = {int(cleaned.positions[row]): value for row, value in folded.items()}
            notes.append(_describe_readings(parents[name][0], by_position, frame))
    if contents.bad and (readings := examiner.interpret(cleaned, contents)):
        raw = _replace(cleaned.raw, readings)
        again = keep(clean_table(frame_of(raw), use_case))
        read = examiner.look(again)
        for column, cells in readings.items():
            done = {p: value for p, value in cells.items() if not examiner.is_bad(again, read, column, p)}
            notes += [_describe_readings(column, done, frame)] if done else []
        cleaned, contents = replace(again, raw=raw, unreadable=cleaned.unreadable | again.unreadable), read
    faults = examiner.name_faults(cleaned, contents)
    if faults.cells:
        raise TableError(faults.describe(frame))
    notes += [*_unseen(use_case, contents.records, parents), *try_derive(use_case, contents.records, cleaned, frame)]
    return Examined(cleaned, contents.records, contents.truth, parents, notes)


def _unseen(
    use_case: UseCase, records: Sequence[Mapping[str, Any]], parents: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    for feature in (f for f in use_case.features if f.unseen == "missing"):
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
    return {f.name for f in use_case.features} | {use_case.target, use_case.key, use_case.dated} - {""}


class _Examiner:
    """What is known about one raw table and its page while its cells are examined."""

    def __init__(self, frame: Frame, use_case: UseCase, parents: Mapping[str, tuple[str, ...]]):
        self._frame = frame
        self._use_case = use_case
        self._parents = parents
        self._features = {f.name: f for f in use_case.features}
        self._schema = RecordSchema(use_case.features)
        self._sample: Cleaned | None = None
        self._levels: dict[str, Levels] = {}
        self._odd_cells: dict[str, frozenset[int]] = {}

    def look(self, cleaned: Cleaned) -> Contents:
        """Return the rows of a cleaned table and its bad cells."""
        table = cleaned.table
        columns = {n: self._values(_cells(table[n]), f) for n, f in self._features.items() if n in table}
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
        truth, bad_truth = self._truth(table[self._use_case.target])
        if len(bad_truth):
            refused[self._use_case.target] = bad_truth.tolist()
        if (dated := self._use_case.dated) and dated in table and (undated := self._days(table[dated]).isna()).any():
            refused[dated] = np.flatnonzero(undated).tolist()
        lost = {name: rows for name, rows in self._lost(cleaned, columns) if rows}
        return Contents(records, truth, refused, lost, self._folded(table, columns))

    def _folded(self, table: pd.DataFrame, columns: Mapping[str, Sequence[Any]]) -> dict[str, dict[int, Any]]:
        """Return the categories that are not as their cells are written."""
        folded: dict[str, dict[int, Any]] = {}
        for name, values in columns.items():
            if self._features[name].kind == "category" and table[name].dtype == object:
                cells = enumerate(zip(table[name], values, strict=True))
                changed = {i: v for i, (cell, v) in cells if isinstance(cell, str) and isinstance(v, str) and cell != v}
                folded |= {name: changed} if changed else {}
        return folded

    def _lost(self, cleaned: Cleaned, columns: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, list[int]]]:
        """Yield the rows whose cell became a missing value, though the raw cell that makes it is none."""
        known = cleaned.positions >= 0
        key = self._use_case.key
        values = {**columns, **({key: _cells(cleaned.table[key])} if key in cleaned.table else {})}
        for name, cells in values.items():
            feature = self._features.get(name)
            parents = self._parents.get(name, ())
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
        donors = self._donors(rows, cleaned, self._parents[name])
        if donors is None:
            return rows
        raw = self._parents[name][0]
        repaired = cleaned.raw.assign(**{raw: _with(cleaned.raw[raw], cleaned.positions[rows], donors[raw])})
        column = self._clean_column(name, repaired, cleaned.positions[rows])
        return rows if column is None else [row for row, cell in zip(rows, column, strict=True) if not is_missing(cell)]

    def is_gap(self, cell: Any) -> bool:
        """Return whether a raw cell has no value, or one that the page declares as a mark for none."""
        return is_missing(cell) or any(fold(cell) == fold(mark) for mark in self._use_case.missing)

    def is_bad(self, cleaned: Cleaned, contents: Contents, column: str, position: int) -> bool:
        """Return whether a raw cell still makes a bad cell."""
        return any(
            position in cleaned.positions[rows]
            for name, rows in contents.bad.items()
            if column in self._parents.get(name, ())
        )

    def interpret(self, cleaned: Cleaned, contents: Contents) -> dict[str, dict[int, Any]]:
        """Return what bad cells may stand for, by raw column and position."""
        readings: dict[str, dict[int, Any]] = {}
        for name, rows in contents.bad.items():
            raw = self._parents.get(name, ())
            if len(raw) != 1:
                continue
            levels = self.levels(name, cleaned, contents)
            found: dict[Any, Any] = {}
            for position in cleaned.positions[rows]:
                value = self._frame.table.at[position, raw[0]] if position >= 0 else None
                if value is None or self.is_gap(value):
                    continue
                if (reading := found.setdefault(value, levels.interpret(value))) is not None:
                    readings.setdefault(raw[0], {})[int(position)] = reading
        return readings

    def levels(self, name: str, cleaned: Cleaned, contents: Contents) -> Levels:
        """Return the levels that `clean` reads in the raw column of the cleaned column `name`."""
        if name not in self._levels:
            feature = self._features.get(name)
            outcomes: tuple[Any, ...] = ()
            if name == self._use_case.target:
                outcomes = (0, 1) if self._use_case.task == "binary" else self._use_case.classes
            levels = Levels(feature, outcomes)
            (raw,) = self._parents[name]
            bad = set(contents.bad.get(name, ()))
            good = [i for i, p in enumerate(cleaned.positions) if p >= 0 and i not in bad]
            levels.learn(*self._pairs(cleaned, raw, name, good), here=True)
            sample = self._clean_sample()
            if sample and raw in sample.raw and name in sample.table:
                levels.learn(*self._pairs(sample, raw, name, range(len(sample.table))), here=False)
            self._levels[name] = levels
        return self._levels[name]

    def _pairs(self, cleaned: Cleaned, raw: str, name: str, rows: Sequence[int]) -> tuple[list[Any], list[Any]]:
        feature = self._features.get(name)
        cells = _cells(cleaned.table[name].iloc[list(rows)])
        values = self._values(cells, feature) if feature else cells
        return _cells(cleaned.raw[raw].iloc[cleaned.positions[list(rows)]]), values

    def _values(self, cells: list[Any], feature: Feature) -> list[Any]:
        """Return the values of cleaned cells. Text that `clean` left alone is read as the batch and /invocations do.

        So what the file's first rows do not tell apart, such as 1,234 between semicolons, is no value here either.
        """
        return to_values(cells, feature, self._notation(cells, feature))

    def _truth(self, column: pd.Series[Any]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        target = _target_feature(self._use_case)
        notation = self._notation(column.tolist(), target)
        return read_truth(column, self._use_case, None if notation is None else notation.decimal)

    def _days(self, column: pd.Series[Any]) -> pd.Series[Any]:
        (parent,) = self._parents.get(self._use_case.dated, ()) or (None,)
        return parse_days(column, self._frame, parent)

    def _notation(self, cells: Sequence[Any], feature: Feature) -> Notation | None:
        """Return how the text in a cleaned column is written; None if it shows that by itself.

        That of the file, as every door judges it, if `clean` left the text alone. Text that `clean` changed has its
        own, and the file's where it shows none.
        """
        text = {cell for cell in cells if isinstance(cell, str)}
        parents = self._parents.get(feature.name, ())
        if not text or self._frame.notations is None or len(parents) != 1:
            return None
        of_file = self._frame.notations.of(feature, parents[0])
        raw = {cell for cell in self._frame.table[parents[0]] if isinstance(cell, str)}
        if text <= raw:
            return of_file
        mark = find_mark([cell for cell in cells if isinstance(cell, str)])
        decimal = self._frame.notations.decimal_of_others if mark == "either" else mark or "."
        return Notation(decimal, day_orders(text) or of_file.days)

    def _clean_sample(self) -> Cleaned | None:
        if self._sample is None and (sample := draw_sample(self._use_case)) is not None:
            with suppress(TableError):  # without a sample, messages say less
                self._sample = clean_table(frame_of(sample), self._use_case)
        return self._sample

    def name_faults(self, cleaned: Cleaned, contents: Contents) -> Faults:
        """Return the bad cells as the raw table has them."""
        faults = Faults()
        for raw, positions in cleaned.unreadable.items():
            names = [name for name, found in self._parents.items() if raw in found]
            for position in positions if names else ():
                feature = self._features.get(names[0]) if self._parents[names[0]] == (raw,) else None
                whole = feature is not None and feature.kind == "integer"
                value = self._value(position, raw)
                faults.add(raw, position, Fault(value, "a whole number" if whole else "a number"))
        for name, rows in contents.bad.items():
            parents = self._parents.get(name, ())
            for raw, row in (
                self._blame(name, rows, cleaned) if len(parents) > 1 else [(p, r) for p in parents for r in rows]
            ):
                position = int(cleaned.positions[row])
                fault = self._fault(name, raw, position, row, cleaned, contents)
                if fault.value is None:
                    fault = replace(fault, written=(self._frame.cell(position, raw) or "").strip())
                faults.add(raw, position, fault)
            if not parents:
                for row in rows:
                    feature = self._features.get(name)
                    value = cleaned.table[name].iloc[row]
                    wanted = _without_null(feature.allowed) if feature else "a value"
                    faults.add(name, row, Fault(None if is_missing(value) else value, wanted))
        return faults

    def _fault(self, name: str, raw: str, position: int, row: int, cleaned: Cleaned, contents: Contents) -> Fault:
        value = self._value(position, raw)
        if value is not None and self.is_gap(value) and not is_missing(cleaned.table[name].iloc[row]):
            page = f"use_cases/{self._use_case.name}.py"
            return Fault(value, f"made a missing value by clean, though {page} declares it in missing")
        if self._parents[name] == (raw,):
            levels = self.levels(name, cleaned, contents)
            if known := [level for level in levels.known if not self.is_gap(level)]:
                marks = self._marks(name)
                wanted = one_of(known) + (f", or {', '.join(map(write, marks))} if it is missing" if marks else "")
                return Fault(value, wanted, levels.nearest(value, marks))
            return Fault(value, self._wanted(name, raw, value, row, cleaned, contents))
        if isinstance(value, str) and position in self._odd(raw):
            return Fault(value, "a number")
        return Fault(value, self._in_a_readable_form(name, raw, cleaned, contents))

    def _marks(self, name: str) -> tuple[Any, ...]:
        """Return what the page declares as marks for a missing value, if the column may have any."""
        feature = self._features.get(name)
        return self._use_case.missing if feature is not None and feature.nullable else ()

    def _odd(self, raw: str) -> frozenset[int]:
        if raw not in self._odd_cells:
            self._odd_cells[raw] = frozenset(self._frame.odd(raw))
        return self._odd_cells[raw]

    def _wanted(self, name: str, raw: str, value: Any, row: int, cleaned: Cleaned, contents: Contents) -> str:
        feature = self._features.get(name)
        if isinstance(value, int | float) and abs(value) > MOST:
            return f"at most {MOST:.2g}, the largest number of a model"
        if feature is None and name == self._use_case.target:
            return _wanted_outcome(self._use_case)
        if feature is None:
            return (
                "a date as YYYY-MM-DD"
                if name == self._use_case.dated
                else self._in_a_readable_form(name, raw, cleaned, contents)
            )
        if feature.kind in {"integer", "number"} and isinstance(value, str) and not _is_number(value):
            return "a whole number" if feature.kind == "integer" else "a number"
        if row in contents.lost.get(name, ()):
            declare = f"(if it stands for a missing value, add it to missing in use_cases/{self._use_case.name}.py)"
            return f"{self._in_a_readable_form(name, raw, cleaned, contents)} {declare}"
        return _without_null(feature.allowed)

    def _in_a_readable_form(self, name: str, raw: str, cleaned: Cleaned, contents: Contents) -> str:
        """Return `a value that clean of churn reads, such as 7`."""
        bad = set(contents.bad.get(name, ()))
        sources = [(cleaned, [i for i in range(len(cleaned.table)) if i not in bad])]
        if (sample := self._clean_sample()) and raw in sample.raw:
            sources.append((sample, list(range(len(sample.table)))))
        for source, rows in sources:
            for i in rows:
                cell = source.raw[raw].iloc[source.positions[i]]
                if source.positions[i] >= 0 and not self.is_gap(cell):
                    return f"a value that clean of {self._use_case.name} reads, such as {write(cell)}"
        return f"a value that clean of {self._use_case.name} reads"

    def _blame(self, name: str, rows: list[int], cleaned: Cleaned) -> Iterator[tuple[str, int]]:
        """Yield the raw cells that make bad cells of a column which is made from several raw columns.

        The cells of a bad row are replaced by those of a good row, and then put back one by one: a cell that makes the
        row bad again is the reason. If no single cell is, all of them are.
        """
        parents = self._parents[name]
        positions = cleaned.positions[rows]
        donors = self._donors(rows, cleaned, parents)
        blamed: dict[int, list[str]] = {row: [] for row in rows}
        if donors is not None:
            repaired = cleaned.raw.copy()
            for raw in parents:
                repaired[raw] = _with(cleaned.raw[raw], positions, donors[raw])
            if not self._bad_rows(name, repaired, rows, positions):
                for raw in parents:
                    bad = self._bad_rows(name, repaired.assign(**{raw: cleaned.raw[raw]}), rows, positions)
                    for row in bad:
                        blamed[row].append(raw)
        for row, columns in blamed.items():
            for raw in columns or parents:
                yield raw, row

    def _donors(self, rows: list[int], cleaned: Cleaned, parents: Sequence[str]) -> dict[str, list[Any]] | None:
        """Return cells for the rows from rows that are good, of the table or else of the sample."""
        bad = set(rows)
        good = [
            int(cleaned.positions[i]) for i in range(len(cleaned.table)) if i not in bad and cleaned.positions[i] >= 0
        ]
        source = cleaned.raw
        good = self._without_gaps(source, good, parents)
        if not good:
            sample = self._clean_sample()
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

    def _bad_rows(self, name: str, raw: pd.DataFrame, rows: list[int], positions: NDArray[np.int64]) -> list[int]:
        """Return which of `rows`, at `positions` of the raw table, are bad if that table is `raw`."""
        column = self._clean_column(name, raw, positions)
        if column is None:
            return rows
        feature = self._features.get(name)
        if name == self._use_case.target:
            bad = set(self._truth(column)[1])
        elif feature is None:
            bad = {i for i, cell in enumerate(column) if is_missing(cell)}
        else:
            schema = RecordSchema((feature,))
            values = self._values(_cells(column), feature)
            bad = {i for i, value in enumerate(values) if isinstance(schema.check({name: value}), Rejected)}
        return [row for i, row in enumerate(rows) if i in bad]

    def _clean_column(self, name: str, raw: pd.DataFrame, positions: NDArray[np.int64]) -> pd.Series[Any] | None:
        """Return a cleaned column of another raw table at `positions`, or None if `clean` drops some of them."""
        try:
            cleaned = clean_once(self._use_case, raw)
        except Exception:
            return None
        found = pd.Series(range(len(cleaned.table)), index=cleaned.positions)
        if name not in cleaned.table or not found.index.is_unique or not set(positions) <= set(found.index):
            return None
        return cleaned.table[name].iloc[found.reindex(positions).to_numpy()]

    def _value(self, position: int, raw: str) -> Any:
        value = self._frame.table[raw].iloc[position]
        if is_missing(value):
            return None
        return self._frame.cell(position, raw) if isinstance(value, str) else value


def read_truth(
    column: pd.Series[Any], use_case: UseCase, decimal: str | None = None
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the outcomes in a cleaned column, (n,), and the positions of those that are none.

    Of several classes, an outcome is the place of the class. Without a `decimal` mark, it is the one that the column
    shows.
    """
    if use_case.classes:
        cells = to_values(_cells(column), _target_feature(use_case))
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
        allowed = _wanted_outcome(use_case)
        bad |= (truth <= 0) if allowed.endswith("above 0") else (truth < 0) if allowed.endswith("from 0") else False
    return truth, np.flatnonzero(bad)


def parse_days(column: pd.Series[Any], frame: Frame, parent: str | None = None) -> pd.Series[Any]:
    """Return the days of a column of dates or of text, as every table is read; NaT for anything else.

    `parent` is the raw column of `frame` from which it comes: by default the one of its name, if there is one.
    """
    text = column.astype(str)
    parent = str(column.name) if parent is None else parent
    if frame.notations is not None and parent in frame.table and set(column.dropna()) <= set(frame.table[parent]):
        order = frame.notations.of(Feature(name=parent, kind="date", help="a day")).days
    else:
        order = day_orders(text.unique())
    return pd.to_datetime(text.map({cell: parse_day(cell, order) for cell in text.unique()}), format="%Y-%m-%d")


def _target_feature(use_case: UseCase) -> Feature:
    """Return the target as a feature; as a category where it has classes."""
    kind: Kind = "category" if use_case.classes else "number"
    return Feature(name=use_case.target, kind=kind, categories=use_case.classes, help="the target")


def _wanted_outcome(use_case: UseCase) -> str:
    if use_case.classes:
        return one_of(use_case.classes)
    if use_case.task == "binary":
        return "0 or 1"
    if use_case.task == "ordinal":
        return "a whole number"
    objectives = [str(e.fixed.get("objective")) for e in use_case.estimators]
    return next((AMOUNTS[objective] for objective in objectives if objective in AMOUNTS), "a number")


def _cells(column: pd.Series[Any]) -> list[Any]:
    """Return the cells of a column as plain Python values, None for gaps."""
    return column.astype(object).where(column.notna(), None).tolist()


def _replace(raw: pd.DataFrame, readings: Mapping[str, Mapping[int, Any]]) -> pd.DataFrame:
    replaced = raw.copy()
    for column, cells in readings.items():
        replaced[column] = _with(raw[column], list(cells), list(cells.values()))
    return replaced


def _with(column: pd.Series[Any], positions: Sequence[int] | NDArray[np.int64], cells: list[Any]) -> pd.Series[Any]:
    """Return a column with other cells at `positions`."""
    changed = column.to_numpy(dtype=object, copy=True)
    changed[np.asarray(positions)] = np.array([*cells, None], dtype=object)[:-1]
    return pd.Series(changed, index=column.index, dtype=object).infer_objects()


def _describe_readings(column: str, cells: Mapping[int, Any], frame: Frame) -> str:
    counts = Counter((write(frame.table[column].iloc[position]), write(value)) for position, value in cells.items())
    shown = ", ".join(f"{given} as {read}" for (given, read), _ in counts.most_common(MOST_SHOWN))
    more = f" and {len(counts) - MOST_SHOWN} more" if len(counts) > MOST_SHOWN else ""
    return f"{column}: {len(cells):,} of {len(frame.table):,} cells were read as what they stand for: {shown}{more}"


def _without_null(allowed: str) -> str:
    return allowed.removesuffix(", or null")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
