"""What a cell may stand for that `clean` does not know: a level in another case, a code, yes and no."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from model_orchestration.tables.faults import closest
from scorehouse.usecase import Feature

MOST = 200  # different values of a column beyond which they are no levels
WORDS: Mapping[str, int] = {
    **dict.fromkeys(("1", "true", "yes", "t", "y"), 1),
    **dict.fromkeys(("0", "false", "no", "f", "n"), 0),
}


@dataclass(slots=True)
class Levels:
    """The levels of a raw column that `clean` reads: raw value -> value after cleaning, seen in tables."""

    feature: Feature | None  # None: the target
    outcomes: tuple[Any, ...] = ()  # what the target may be, if it is a class
    read: dict[Any, Any] = field(default_factory=dict)
    read_here: bool = False  # whether a cell of the table itself is read

    def learn(self, raw: Iterable[Any], cleaned: Iterable[Any], here: bool) -> None:
        """Take pairs of raw and cleaned values. `here` says that they are of the table itself, not of a sample."""
        for before, after in dict.fromkeys(zip(raw, cleaned, strict=True)):
            is_known = not self.choices or _plain(after) in self.choices
            if after is not None and is_known and not _is_gap(before) and len(self.read) <= MOST:
                self.read.setdefault(_plain(before), _plain(after))
                self.read_here |= here

    @property
    def known(self) -> list[Any]:
        """The raw levels, as a message lists them; empty if the values are no levels."""
        if len(self.read) > MOST or not self.choices:
            return []
        unseen = [choice for choice in self.choices if choice not in self.read.values()]
        distinct = {fold(level): level for level in reversed([*self.read, *unseen])}  # the text '1' and 1 are one level
        return sorted(distinct.values(), key=self._order)

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values after cleaning of which a cell has one; empty for numbers."""
        if self.feature is None:
            return self.outcomes
        return self.feature.categories or tuple(self.feature.labels)

    def interpret(self, value: Any) -> Any:
        """Return the raw value that `clean` reads and that `value` unambiguously stands for, or None.

        It is a level but for its case; a label of a code, or a code of a label; or a word for yes or no where there
        are only these two. A code and such a word only count if no cell of the table is a level: a column of both
        would not be clear.
        """
        folded = fold(value)
        same = [level for level in self.read if fold(level) == folded and level != value]
        if len(same) == 1:
            return same[0]
        labels: Mapping[Any, str] = self.feature.labels if self.feature else {}
        found = [choice for choice in self.choices if fold(labels.get(choice, choice)) == folded]
        if not found and not self.read_here:
            found = [choice for choice in self.choices if fold(choice) == folded]
        if not found and not self.read_here and set(self.choices) == {0, 1} and folded in WORDS:
            found = [choice for choice in self.choices if choice == WORDS[folded]]
        return self._raw(found[0], value) if len(found) == 1 else None

    def nearest(self, value: Any, marks: Iterable[Any] = ()) -> str:
        """Return the level, or the mark of a missing value, that is most like `value`; empty if none is."""
        return closest(value, [*self.known, *marks]) if isinstance(value, str) else ""

    def _raw(self, choice: Any, value: Any) -> Any:
        """Return a raw value that `clean` turns into `choice`."""
        for level, cleaned in self.read.items():
            if cleaned == choice:
                return level
        if fold(choice) != fold(value):
            return choice
        return self.feature.labels.get(choice) if self.feature else None

    def _order(self, level: Any) -> tuple[bool, Any]:
        cleaned = self.read.get(level, level)
        is_number = isinstance(cleaned, int | float)
        return not is_number, cleaned if is_number else str(cleaned)


def fold(value: Any) -> str:
    """Return a value as levels are compared: without case, and 3.0 as 3, be it a number or text."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).casefold()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = " ".join(str(value).casefold().split())
    whole, point, zeros = text.partition(".")
    return whole if point and whole.lstrip("-").isdigit() and zeros.strip("0") == "" else text


def _is_gap(value: Any) -> bool:
    return value is None or bool(pd.isna(value))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
