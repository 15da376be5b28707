"""What is wrong with cells of a raw table, in one line that a person can act on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scorehouse.scoring.nearest import KnownNames
from scorehouse.tables.frames import Frame

MOST_COLUMNS = 5  # that a message describes
MOST_VALUES = 3  # other bad values of a column that a message shows
MOST_LETTERS = 80  # of a value that a message shows
MOST_LEVELS = 12  # that a message lists


@dataclass(frozen=True, slots=True)
class Fault:
    """One bad cell. `wanted` is what it should be: `a whole number`. `nearest` is what was probably meant.

    `written` is the word of the file, such as `NA`, where `value` is missing.
    """

    value: Any
    wanted: str
    nearest: str = ""
    written: str = ""


@dataclass(slots=True)
class Faults:
    """The bad cells of a raw table, by column and position; the first fault of a cell counts."""

    cells: dict[str, dict[int, Fault]] = field(default_factory=dict)

    def add(self, column: str, position: int, fault: Fault) -> None:
        """Add a bad cell."""
        self.cells.setdefault(column, {}).setdefault(position, fault)

    def describe(self, frame: Frame) -> str:
        """Return all faults in one line, with rows as a person sees them in the file."""
        count = len(frame.table)
        names = [str(c) for c in frame.table.columns]
        for position in self._headers(set(names))[:1]:
            row = frame.rows[position]
            if [str(cell) for cell in frame.table.iloc[position]] == names:
                return f"row {row} repeats the names of the columns: remove it"
            return f"row {row} has the names of columns, but not in the order of row 1: are two tables joined there?"
        parts = [self._describe(column, frame, count) for column in list(self.cells)[:MOST_COLUMNS]]
        if len(self.cells) > MOST_COLUMNS:
            parts.append(f"and {len(self.cells) - MOST_COLUMNS} more columns")
        return "; ".join(parts)

    def _headers(self, names: set[str]) -> list[int]:
        """Return the positions of rows with several `names` of columns, as files have that were joined."""
        named = Counter(p for faults in self.cells.values() for p, f in faults.items() if f.value in names)
        return sorted(position for position, columns in named.items() if columns > 1)

    def _describe(self, column: str, frame: Frame, count: int) -> str:
        faults = self.cells[column]
        position = min(faults)
        first = faults[position]
        row = f"row {frame.rows[position]}"
        said = f"{column}: {len(faults):,} of {count:,} rows cannot be read: "
        if first.value is None and first.written:
            said += f"{row}, {write(first.written)}, is a missing value, but must be {first.wanted}"
        elif first.value is None:
            said += f"{row} is empty, but must be {first.wanted}"
        else:
            said += f"{row}, {write(first.value)}, is not {first.wanted}"
        if first.nearest:
            said += f"; did you mean {first.nearest!r}?"
        others = list(dict.fromkeys(write(f.value) for f in faults.values() if f.value != first.value))
        return said + (f" (others: {', '.join(others[:MOST_VALUES])})" if others else "")


def write(value: Any) -> str:
    """Return a value as a message shows it: short, and text in quotes."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None:
        return "empty"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, str) and len(value) > MOST_LETTERS:
        value = value[: MOST_LETTERS - 1] + "…"
    return repr(value)


def one_of(values: Iterable[Any]) -> str:
    """Return `one of 'M', 'F'`, or the first of many."""
    listed = list(values)
    more = f" and {len(listed) - MOST_LEVELS} more" if len(listed) > MOST_LEVELS else ""
    return f"one of {', '.join(write(v) for v in listed[:MOST_LEVELS])}{more}"


def closest(name: object, known: Iterable[Any]) -> str:
    """Return the known name that is most like `name`, or nothing if none is like it. A word in common is too little."""
    return KnownNames(map(str, known)).nearest(str(name), by_word=False)


def suggest(name: object, known: Iterable[Any]) -> str:
    """Return `; did you mean 'Pclass'?`, or nothing."""
    found = closest(name, known)
    return f"; did you mean {found!r}?" if found else ""
