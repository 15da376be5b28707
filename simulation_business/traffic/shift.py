"""How rows of a real table drift on purpose: higher or lower numbers, and one category more often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorehouse.errors import ScorehouseError
from scorehouse.usecase import Feature, Task, UseCase

MOST = 3  # features that drift: those that say most about the outcome
DONORS = 2  # other values of the column, of which the highest (or lowest) is sent if it beats the record's own
REPLACED = 0.5  # the share of the records that get the category, at full drift
LEAST_EFFECT = 0.15  # how far the column's distribution must move: the monitor finds 0.10 of a number
MOST_CATEGORIES = 100  # the most frequent ones, of which one becomes more frequent
BINS = 10  # of a number's values, by which its association with the outcome is measured
Record = dict[str, Any]


class NothingShifts(ScorehouseError):
    """No feature says anything about the outcome, or none can be moved."""


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """One feature that drifts. `values` are those of the table, from which a number may take another one.

    `toward` is "higher", "lower", or the category that becomes more frequent. `association`, 0 to 1, is the share of
    the outcome's variance that the feature explains.
    """

    feature: Feature
    values: Sequence[Any]
    toward: Any
    association: float

    def __str__(self) -> str:
        if self.toward in {"higher", "lower"} and not self.feature.choices:
            return f"{self.feature.name} ({self.toward})"
        return f"{self.feature.name} (more {self.feature.labels.get(self.toward, self.toward)})"

    def apply(self, record: Record, drift: float, rng: np.random.Generator) -> Record:
        """Return the record with its value shifted, with the probability `drift`. A gap stays a gap."""
        name = self.feature.name
        chance, places = rng.random(), rng.integers(len(self.values), size=DONORS)
        if record.get(name) is None:
            return record
        if _is_number(self.feature):
            if chance >= drift:
                return record
            choose = max if self.toward == "higher" else min
            return {**record, name: choose(record[name], *(self.values[place] for place in places))}
        return {**record, name: self.toward} if chance < REPLACED * drift else record


def shifts(use_case: UseCase, records: Sequence[Record], truth: NDArray[np.float64]) -> tuple[Shift, ...]:
    """Return the features that drift: those of the model that say most about the outcome, and can be moved enough.

    Raises:
        NothingShifts: there is none.
    """
    outcome = _outcome(use_case.task, truth)
    seen = {column.name for column in use_case.columns}
    own = [f for f in use_case.features if f.name in seen and not f.is_learnt] or [
        f for f in use_case.features if not f.is_time
    ]
    found = [shift for f in own if (shift := _shift(f, [r.get(f.name) for r in records], outcome)) is not None]
    if not found:
        raise NothingShifts(
            f"{use_case.name}: no drift is sent, because no feature says anything about {use_case.target}"
        )
    return tuple(sorted(found, key=lambda s: -s.association)[:MOST])


def _shift(feature: Feature, values: Sequence[Any], outcome: NDArray[np.float64]) -> Shift | None:
    present = [value for value in values if value is not None]
    if len(set(present)) < 2:
        return None
    groups = _groups(values, feature)
    association = _association(groups, outcome)
    if association <= 0:
        return None
    if _is_number(feature):
        share = np.cumsum(np.unique(np.array(present, dtype=np.float64), return_counts=True)[1]) / len(present)
        moved = {
            "higher": np.abs(share ** (DONORS + 1) - share).max(),
            "lower": np.abs(1 - (1 - share) ** (DONORS + 1) - share).max(),
        }
        toward = max(moved, key=lambda way: moved[way])
        return Shift(feature, present, toward, association) if moved[toward] >= LEAST_EFFECT else None
    toward = _category(present, [o for o, value in zip(outcome, values, strict=True) if value is not None])
    moved_share = REPLACED * (1 - Counter(present)[toward] / len(present))
    return Shift(feature, present, toward, association) if moved_share >= LEAST_EFFECT else None


def _category(values: Sequence[Any], outcome: Iterable[NDArray[np.float64]]) -> Any:
    """Return the category of which the outcome differs most from the mean, for the number of rows that have it."""
    counts, rows = Counter(values), np.array(list(outcome))
    mean = rows.mean(axis=0)

    def weight(category: Any) -> float:
        chosen = np.array([value == category for value in values])
        return float(np.abs(rows[chosen].mean(axis=0) - mean).sum() * np.sqrt(counts[category]))

    rarer = [c for c, _ in counts.most_common(MOST_CATEGORIES)[1:]]
    return max(rarer, key=weight)


def _outcome(task: Task, truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the outcome as columns (n, c): ranks of an amount, so that few large ones do not decide, or classes."""
    if task in {"amount", "ordinal"}:
        _, place, counts = np.unique(truth, return_inverse=True, return_counts=True)
        ranks: NDArray[np.float64] = (np.cumsum(counts) - counts / 2)[place] / len(truth)
        return ranks[:, None]
    classes: NDArray[np.float64] = (truth[:, None] == np.unique(truth)[None, :]).astype(np.float64)
    return classes


def _groups(values: Sequence[Any], feature: Feature) -> NDArray[np.intp]:
    """Return the group of each value, (n,): its category, or the tenth of the numbers in which it is."""
    if not _is_number(feature):
        return np.unique([repr(value) for value in values], return_inverse=True)[1]
    numbers = np.array([np.nan if value is None else float(value) for value in values])
    bounds = np.unique(np.nanquantile(numbers, np.arange(1, BINS) / BINS))
    return np.where(np.isnan(numbers), BINS, np.searchsorted(bounds, numbers, side="left")).astype(np.intp)


def _association(groups: NDArray[np.intp], outcome: NDArray[np.float64]) -> float:
    """Return the share of the outcome's variance that groups explain, without what chance would explain.

    It is Kelley's epsilon squared (1935), over the classes together where there are several.
    """
    rows = len(outcome)
    _, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    total = ((outcome - outcome.mean(axis=0)) ** 2).sum()
    if rows <= len(counts) or total == 0:
        return 0.0
    sums = np.zeros((len(counts), outcome.shape[1]))
    np.add.at(sums, place, outcome)
    within = ((outcome - (sums / counts[:, None])[place]) ** 2).sum()
    return float(1 - (within / (rows - len(counts))) / (total / (rows - 1)))


def _is_number(feature: Feature) -> bool:
    return feature.kind in {"integer", "number"}


def describe(shifted: Iterable[Shift]) -> str:
    """Return what drifts, in words."""
    return ", ".join(map(str, shifted))
