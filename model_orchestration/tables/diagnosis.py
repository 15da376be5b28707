"""Names the bad cells of a table as the raw table has them: column, row, value, and what would be right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_orchestration.tables.cleaning import Cleaned
from model_orchestration.tables.faults import Fault, Faults, one_of, write
from model_orchestration.tables.reading import Contents, Reading, cells_of, wanted_outcome, with_cells
from scorehouse.scoring.field_schema import MOST
from scorehouse.scoring.schema import RecordSchema, Rejected
from scorehouse.tables.cells import is_missing


class Diagnosis:
    """Names what is wrong with the cells of one reading."""

    def __init__(self, reading: Reading):
        """Name nothing yet."""
        self._reading = reading
        self._frame, self._use_case = reading.frame, reading.use_case
        self._parents, self._features = reading.parents, reading.features
        self._odd_cells: dict[str, frozenset[int]] = {}

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
        if value is not None and self._reading.is_gap(value) and not is_missing(cleaned.table[name].iloc[row]):
            page = f"use_cases/{self._use_case.name}.py"
            return Fault(value, f"made a missing value by clean, though {page} declares it in missing")
        if self._parents[name] == (raw,):
            levels = self._reading.levels(name, cleaned, contents)
            if known := [level for level in levels.known if not self._reading.is_gap(level)]:
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
            return wanted_outcome(self._use_case)
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
        if (sample := self._reading.clean_sample()) and raw in sample.raw:
            sources.append((sample, list(range(len(sample.table)))))
        for source, rows in sources:
            for i in rows:
                cell = source.raw[raw].iloc[source.positions[i]]
                if source.positions[i] >= 0 and not self._reading.is_gap(cell):
                    return f"a value that clean of {self._use_case.name} reads, such as {write(cell)}"
        return f"a value that clean of {self._use_case.name} reads"

    def _blame(self, name: str, rows: list[int], cleaned: Cleaned) -> Iterator[tuple[str, int]]:
        """Yield the raw cells that make bad cells of a column which is made from several raw columns.

        The cells of a bad row are replaced by those of a good row, and then put back one by one: a cell that makes the
        row bad again is the reason. If no single cell is, all of them are.
        """
        parents = self._parents[name]
        positions = cleaned.positions[rows]
        donors = self._reading.donors(rows, cleaned, parents)
        blamed: dict[int, list[str]] = {row: [] for row in rows}
        if donors is not None:
            repaired = cleaned.raw.copy()
            for raw in parents:
                repaired[raw] = with_cells(cleaned.raw[raw], positions, donors[raw])
            if not self._bad_rows(name, repaired, rows, positions):
                for raw in parents:
                    bad = self._bad_rows(name, repaired.assign(**{raw: cleaned.raw[raw]}), rows, positions)
                    for row in bad:
                        blamed[row].append(raw)
        for row, columns in blamed.items():
            for raw in columns or parents:
                yield raw, row

    def _bad_rows(self, name: str, raw: pd.DataFrame, rows: list[int], positions: NDArray[np.int64]) -> list[int]:
        """Return which of `rows`, at `positions` of the raw table, are bad if that table is `raw`."""
        column = self._reading.clean_column(name, raw, positions)
        if column is None:
            return rows
        feature = self._features.get(name)
        if name == self._use_case.target:
            bad = set(self._reading.truth(column)[1])
        elif feature is None:
            bad = {i for i, cell in enumerate(column) if is_missing(cell)}
        else:
            schema = RecordSchema((feature,))
            values = self._reading.values(cells_of(column), feature)
            bad = {i for i, value in enumerate(values) if isinstance(schema.check({name: value}), Rejected)}
        return [row for i, row in enumerate(rows) if i in bad]

    def _value(self, position: int, raw: str) -> Any:
        value = self._frame.table[raw].iloc[position]
        if is_missing(value):
            return None
        return self._frame.cell(position, raw) if isinstance(value, str) else value


def _without_null(allowed: str) -> str:
    return allowed.removesuffix(", or null")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
