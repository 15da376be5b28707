"""What a target column asks for: the task, which outcome counts as a yes, and the objective that fits its amounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from model_orchestration.inspection.kinds import TRUTHS, Column
from model_orchestration.tables.faults import closest
from model_orchestration.tables.levels import fold
from scorehouse.errors import TableError
from scorehouse.usecase import Task

MOST_NAMED = 50  # classes without an order; a column of more is text
LEAST_OF_CLASS = 3  # rows on average: fewer, and it is no class
MOST_CLASSES = 20  # whole numbers of which a column has more are amounts
MOST_ORDERED_ROWS = 10_000  # beyond, whole numbers are amounts
_WORDS: Mapping[Task, str] = {
    "binary": "two classes", "multiclass": "several classes", "ordinal": "ordered classes", "amount": "an amount",
}  # fmt: skip
_SKEWED = 1.0  # the skewness from which amounts get an objective for skewed ones
# Words of which the one on the right is the yes. The rarer outcome is, where a table has other words.
_OPPOSITES = (
    ("n", "p"), ("neg", "pos"), ("negative", "positive"), ("bad", "good"), ("dead", "alive"), ("fail", "pass"),
    ("failed", "passed"), ("loss", "win"), ("lost", "won"), ("stayed", "left"), ("0", "1"), ("-1", "1"), ("1", "2"),
    ("benign", "malignant"), ("healthy", "sick"), ("absent", "present"), ("control", "case"), ("ham", "spam"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The column that a model answers, and what follows from its values."""

    column: Column
    task: Task
    outcomes: Mapping[Any, int] = field(default_factory=dict)  # of two classes: what the table has -> 0 or 1
    classes: tuple[str, ...] = ()  # of several classes: what the table has, in the order of names
    objectives: tuple[str, ...] = ()  # of an amount: XGBoost's objectives, the likeliest first
    guesses: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The raw column's name."""
        return self.column.name

    @property
    def words(self) -> str:
        """The task as people read it."""
        return _WORDS[self.task]

    def truth(self) -> NDArray[np.float64]:
        """Return the outcome of each row of the table, (n,): NaN where it has none, the place of several classes."""
        values = self.column.values
        if self.classes:
            places = {fold(name): place for place, name in enumerate(self.classes)}
            values = values.map(lambda value: places.get(fold(value)), na_action="ignore")
        if self.outcomes:
            values = values.map(self.outcomes)
        return pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def find_target(columns: Mapping[str, Column], name: str) -> Target:
    """Return what the column `name` asks for.

    Raises:
        TableError: there is no such column, or no task follows from its values. The message lists what could be meant.
    """
    if name not in columns:
        nearest = closest(name, list(columns))
        meant = f"; did you mean {nearest!r}?" if nearest else ""
        if len(columns) == 1:
            raise TableError(
                f"no column is called {name!r}: the table was read as one column, {next(iter(columns))!r}; "
                "put , ; | or a tab between columns"
            )
        raise TableError(f"no column is called {name!r}{meant} (columns: {', '.join(columns)})")
    column = columns[name]
    present = column.values.dropna()
    levels = present.value_counts()
    if len(levels) < 2:
        raise TableError(f"{name}: all rows have one value, so there is nothing to learn: name another TARGET")
    if len(levels) == 2:
        return _two_classes(column, levels)
    if not pd.api.types.is_numeric_dtype(present):
        return _several_classes(column, levels)
    return _numbers(column, present.astype(float), len(levels))


def candidates(columns: Sequence[Column]) -> list[str]:
    """Return the columns that could be a target, likeliest first.

    Most tables have it last or first. The others follow by what they are: two classes, several classes, then amounts.
    """
    ranked = []
    for place, column in enumerate(columns):
        numeric = pd.api.types.is_numeric_dtype(column.values)
        if column.left_out or column.distinct < 2 or (column.feature is not None and column.feature.is_time):
            continue
        few = column.distinct <= (MOST_CLASSES if numeric else MOST_NAMED)
        rank = 2 if column.distinct == 2 else 3 if few else 4
        if place in {0, len(columns) - 1}:
            rank = 1 if place == 0 else 0
        if numeric or few:
            ranked.append((rank, -place, column.name))
    return [name for *_, name in sorted(ranked)]


def _two_classes(column: Column, levels: pd.Series[int]) -> Target:
    values = list(levels.index)  # the more frequent one first
    no, yes = values
    words = [str(value).strip().casefold() for value in values]
    truths = [value if isinstance(value, bool) else TRUTHS.get(word) for value, word in zip(values, words, strict=True)]
    known = None not in truths and truths[0] != truths[1]
    if known:
        no, yes = (no, yes) if truths[1] else (yes, no)
    elif (opposite := tuple(w.removesuffix(".0") for w in words)) in _OPPOSITES or opposite[::-1] in _OPPOSITES:
        no, yes = (no, yes) if opposite in _OPPOSITES else (yes, no)
    share = levels[yes] / levels.sum()
    certain = known or {str(no), str(yes)} <= {"0", "1", "0.0", "1.0"}
    guess = f"the answer is the chance of {yes!r}, which {share:.0%} of the rows have"
    return Target(column=column, task="binary", outcomes={no: 0, yes: 1}, guesses=() if certain else (guess,))


def _several_classes(column: Column, levels: pd.Series[int]) -> Target:
    if column.left_out or len(levels) > MOST_NAMED or levels.sum() < LEAST_OF_CLASS * len(levels):
        raise TableError(_not_an_answer(column, len(levels)))
    classes = tuple(sorted({fold(name): str(name) for name in reversed(levels.index)}.values(), key=str.casefold))
    rare = int((levels.groupby(fold).sum() < LEAST_OF_CLASS).sum())
    guesses = (f"{rare} of {len(classes)} classes have fewer than {LEAST_OF_CLASS} rows",) if rare else ()
    return Target(column=column, task="multiclass", classes=classes, guesses=guesses)


def _numbers(column: Column, numbers: pd.Series[float], distinct: int) -> Target:
    whole = bool((numbers % 1 == 0).all())
    width = numbers.max() - numbers.min() + 1
    if whole and distinct <= MOST_CLASSES and distinct >= width / 2 and len(numbers) <= MOST_ORDERED_ROWS:
        guess = f"{distinct} whole numbers are taken as ordered classes"
        return Target(column=column, task="ordinal", guesses=(guess,))
    skewed = numbers.to_numpy().std() > 0 and float(stats.skew(numbers.to_numpy())) > _SKEWED
    if skewed and numbers.min() > 0:
        objectives: tuple[str, ...] = ("reg:gamma", "reg:squarederror")
    elif skewed and numbers.min() >= 0:
        objectives = ("reg:tweedie", "reg:squarederror")
    else:
        objectives = ("reg:squarederror",)
    guesses = (f"amounts are skewed, so {objectives[0]} is tried as well",) if len(objectives) > 1 else ()
    return Target(column=column, task="amount", objectives=objectives, guesses=guesses)


def _not_an_answer(column: Column, distinct: int) -> str:
    if column.left_out:
        return f"{column.name} cannot be predicted ({column.left_out}): name another TARGET"
    return (
        f"{column.name} has {distinct:,} different values ({column.shown}), which are too many for classes without an "
        f"order: at most {MOST_NAMED}, with {LEAST_OF_CLASS} rows each or more on average; name another TARGET"
    )
