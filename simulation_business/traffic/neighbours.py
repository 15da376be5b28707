"""New rows made between neighbours of a table: each value comes from one of two rows that are alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorehouse.usecase import Feature

HELD_OUT = 0.2  # of the rows of a reference, when the levels of a category are learnt
OTHERS = 1 / 3  # the share of the values that come from the neighbour
NEAREST = 10  # neighbours of a row, of which one is drawn
MOST_ROWS = 3_000  # of a table: distances are computed between all of them
TRIES = 10  # to make a row that the table does not have
Record = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The rows of a table, and the places (n, at most NEAREST) of those that are most like each of them.

    Two rows are as far apart as their features differ on average (Gower, 1971): numbers by the share of the rows
    between them, everything else by whether it differs. Outcomes do not count: if only rows with the same outcome were
    neighbours, it would be easier to predict than that of real rows.
    """

    records: Sequence[Record]
    truth: NDArray[np.float64]
    near: list[NDArray[np.intp]]
    known: frozenset[tuple[Any, ...]]
    counts: Mapping[str, Mapping[Any, int]]  # of each level of the features with learnt levels

    @classmethod
    def of(cls, features: Sequence[Feature], records: Sequence[Record], truth: NDArray[np.float64]) -> Neighbours:
        """Find the neighbours of each row; of a large table, of MOST_ROWS rows."""
        if len(records) > MOST_ROWS:
            chosen = np.random.default_rng(0).permutation(len(records))[:MOST_ROWS]
            records, truth = [records[i] for i in chosen], truth[chosen]
        distance = np.zeros((len(records), len(records)), dtype=np.float32)
        for feature in features:
            values = [record.get(feature.name) for record in records]
            distance += _differences(values, feature.kind in {"integer", "number"})
        distance[distance == 0] = np.inf  # a copy, or the row itself, makes nothing new
        order = np.argsort(distance, axis=1, kind="stable")[:, :NEAREST]
        near = [row[np.isfinite(distance[i, row])] for i, row in enumerate(order)]
        counts = {f.name: Counter(r.get(f.name) for r in records) for f in features if f.is_learnt}
        return cls(records, truth, near, frozenset(map(_content, records)), counts)

    def make(self, rng: np.random.Generator) -> tuple[Record, float]:
        """Return a record made of a row and one of its neighbours, and the row's outcome.

        If nothing that the table does not have is found, it is the row itself: to take another row instead would make
        rows in crowded places rarer than they are.
        """
        one = int(rng.integers(len(self.records)))
        for _ in range(TRIES if len(self.near[one]) else 0):
            own, other = self.records[one], self.records[int(rng.choice(self.near[one]))]
            record = {name: (other if rng.random() < OTHERS else own).get(name) for name in own}
            if _content(record) not in self.known:
                return self._with_new_levels(record, rng), float(self.truth[one])
        return self._with_new_levels(self.records[one], rng), float(self.truth[one])

    def _with_new_levels(self, record: Record, rng: np.random.Generator) -> Record:
        """Return the record with a new level in place of a rare one, as often as a new row would have one.

        The monitor compares with rows of which a fifth was held out from what their levels were learnt from: a level of
        n rows was then unknown with the chance 0.2 ** (n - 1).
        """
        new = {}
        for name, counts in self.counts.items():
            value = record.get(name)
            if value is not None and rng.random() < HELD_OUT ** (counts[value] - 1):
                new[name] = f"new-{rng.integers(10**9)}"
        return {**record, **new}


def _content(record: Record) -> tuple[Any, ...]:
    return tuple(record.values())


def _differences(values: Sequence[Any], is_number: bool) -> NDArray[np.float32]:
    """Return how far apart each two values are, (n, n), from 0 to 1. A missing value is far from every other."""
    missing = np.array([value is None for value in values])
    if is_number:
        numbers = np.array([np.nan if value is None else float(value) for value in values])
        levels, place, counts = np.unique(numbers[~missing], return_inverse=True, return_counts=True)
        share = (np.cumsum(counts) - counts / 2) / max(counts.sum(), 1)
        codes = np.zeros(len(values), dtype=np.float32)
        codes[~missing] = share[place] if len(levels) else 0
        apart: NDArray[np.float32] = np.abs(codes[:, None] - codes[None, :])
        apart[missing[:, None] != missing[None, :]] = 1
        return apart
    _, places = np.unique([repr(value) for value in values], return_inverse=True)
    differ: NDArray[np.float32] = (places[:, None] != places[None, :]).astype(np.float32)
    return differ
