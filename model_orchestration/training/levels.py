"""Categories whose levels are learnt: each level becomes what it says about the target, without seeing its own row.

The rows that a model learns from get the values that the other folds give (out-of-fold target encoding, as
scikit-learn's `TargetEncoder.fit_transform`); all other rows, and the records that doors answer, get those of all rows
that the model learns from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f

from scorehouse.scoring.encoding import Column, Matrix
from scorehouse.usecase import UseCase

_CHANCE = 0.01  # how often levels that say nothing are taken for levels that do
_ROUNDING = 1e-12
Flags = NDArray[np.bool_]
Values = NDArray[np.float64]


class LearntLevels:
    """The levels of a table's rows, and what they say about the target by the rows that may be seen."""

    def __init__(
        self,
        use_case: UseCase,
        records: Sequence[Mapping[str, Any]],
        truth: Values,
        weights: Values,
        folds: Sequence[Flags],
    ):
        """Take n checked records, their truth and weights, (n,), and the rows of each fold, (n,)."""
        self._features = [column.name for column in use_case.columns if column.is_learnt]
        self._levels = {name: _levels([record.get(name) for record in records]) for name in self._features}
        classes = use_case.classes
        self._classes = list(classes)
        self._outcomes = np.eye(len(classes))[truth.astype(np.intp)] if classes else truth[:, None]
        self._weights = weights
        self._folds = folds

    def columns(self, known: Flags) -> dict[str, list[Column]]:
        """Return each feature's columns, whose codes are learnt from the rows `known`, (n,)."""
        return {name: self._columns(name, known) for name in self._features}

    def _columns(self, name: str, known: Flags) -> list[Column]:
        _, names = self._levels[name]
        means = self._means(name, known)
        seen = np.flatnonzero(~np.isnan(means).any(axis=1))
        titles = [f"{name} ({class_})" for class_ in self._classes] or [name]
        return [
            Column(title, {names[i]: float(np.float32(means[i, k])) for i in seen}, learnt=True, field=name)
            for k, title in enumerate(titles)
        ]

    def seen_by(self, known: Flags, rows: Matrix, columns: Sequence[Column], without: Collection[str] = ()) -> Matrix:
        """Return encoded rows (n, columns) as a model sees them that learns from the rows `known`, and from no other.

        The features `without` stay missing.
        """
        learnt = [name for name in self._features if name not in without]
        if not learnt:
            return rows
        seen = rows.copy()
        for name in learnt:
            seen[:, [i for i, column in enumerate(columns) if column.source == name]] = self._values(name, known)
        return seen

    def _values(self, name: str, known: Flags) -> Values:
        """Return the value of each row, (n, columns): for rows in `known`, by the other folds alone."""
        values = self._lookup(name, self._means(name, known))
        for fold in self._folds:
            own = known & fold
            if own.any():
                values[own] = self._lookup(name, self._means(name, known & ~fold))[own]
        return values

    def _lookup(self, name: str, means: Values) -> Values:
        places, _ = self._levels[name]
        return np.vstack([means, np.full((1, means.shape[1]), np.nan)])[places]

    def _means(self, name: str, known: Flags) -> Values:
        places, names = self._levels[name]
        counted = known & (places >= 0)
        return shrunken_means(places[counted], len(names), self._outcomes[counted], self._weights[counted])


def shrunken_means(level: NDArray[np.intp], count: int, outcomes: Values, weights: Values) -> Values:
    """Return the mean outcome of each of `count` levels, (count, columns), drawn to the mean of all rows.

    level, weights (n,) and outcomes (n, columns). A level without rows is NaN. The others are drawn to the mean as if
    they had m more rows with it: m is the variance within levels over that between them, estimated by the analysis of
    variance of a random effect. Where levels do not differ beyond chance, by its F test, all get the mean: a tree would
    split at differences however small they are.
    """
    rows = np.bincount(level, weights, count)[:, None]
    sums = np.stack([np.bincount(level, weights * column, count) for column in outcomes.T], axis=1)
    total, used = float(rows.sum()), int((rows > 0).sum())
    if not used:
        return np.full(sums.shape, np.nan)
    mean = sums.sum(axis=0) / total
    repeated, others = len(level) - used, used - 1  # the degrees of freedom
    if not repeated or not others:
        return np.where(rows > 0, mean, np.nan)
    filled = np.where(rows > 0, rows, 1)
    explained = (sums**2 / filled).sum(axis=0)
    within = np.maximum(weights @ outcomes**2 - explained, 0) / repeated
    between = np.maximum(explained - total * mean**2, 0) / others
    differ = between > float(f.isf(_CHANCE, others, repeated)) * within + _ROUNDING * mean**2
    variance = (between - within) * others / (total - (rows**2).sum() / total)
    more = np.where(differ, within, 0) / np.where(differ, variance, 1)
    return np.where(rows > 0, np.where(differ, (sums + more * mean) / (filled + more), mean), np.nan)


def _levels(values: Sequence[Any]) -> tuple[NDArray[np.intp], list[str]]:
    """Return the place of each value among the levels, (n,), -1 if it is missing, and the levels."""
    place_of: dict[str, int] = {}
    places = [-1 if value is None else place_of.setdefault(value, len(place_of)) for value in values]
    return np.array(places, dtype=np.intp), list(place_of)
