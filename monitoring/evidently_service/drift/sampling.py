"""Chooses the records of a run's window: one of each subject, over a span of time, in bounded memory.

A subject is a customer, or a record's content. Each has a random number, its key, which is the same whenever it comes
back. A window that spans time holds the subjects with the smallest keys (a bottom-k sample; Cohen and Kaplan 2007), so
a subject counts once however often it is seen, and each has the same chance however many there are. What is held is
all that any later window can need: a record with `rule.most` smaller keys behind it will never be in one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitoring.evidently_service.drift.observed import Keys, Observed, Places
from monitoring.evidently_service.drift.statistics import Floats
from monitoring.evidently_service.drift.verdict import DriftRule

CELLS = 24  # of a span: records of the same cell count as equally old when it is decided what to hold


def last_of_each(keys: Keys) -> Places:
    """Return the places, ascending, at which each key occurs last."""
    _, reversed_places = np.unique(keys[::-1], return_index=True)
    return np.sort(len(keys) - 1 - reversed_places)


class Sampling:
    """What is held of one run's records, in the store's order. Without a span, that is the newest of each subject."""

    def __init__(self, held: Observed, rule: DriftRule, since: float | None = None):
        """Start with `held`; `since` is the time (Unix, seconds) of the first record that was ever taken."""
        self.held = held
        self.since = since
        self._rule = rule

    def candidates(self, keys: Keys, times: Floats) -> Places:
        """Return the places of the records, (n,) in the store's order, that may be held: only these need be encoded."""
        places = last_of_each(keys)
        if not self._rule.span:
            return places[-self._rule.window :]
        if len(self.held) < self._rule.most:
            return places
        newest = self._cells(self.held.times).max()
        of_newest = self.held.keys[self._cells(self.held.times) == newest]
        if len(of_newest) < self._rule.most:
            return places
        largest = np.partition(of_newest, self._rule.most - 1)[self._rule.most - 1]
        unneeded = (self._cells(times[places]) <= newest) & (keys[places] > largest)
        needed: Places = places[~unneeded]
        return needed

    def count_new(self, keys: Keys) -> int:
        """Return how many subjects are not held."""
        return len(np.setdiff1d(keys, self.held.keys))

    def count_changed(self, newer: Observed) -> int:
        """Return how many subjects are held with another record than their last one in `newer`."""
        _, held, last = np.intersect1d(self.held.keys, newer.keys[::-1], return_indices=True)
        last = len(newer) - 1 - last
        same = np.isclose(self.held.rows[held], newer.rows[last], rtol=0, atol=0, equal_nan=True)
        return int((~same | (self.held.sent[held] != newer.sent[last])).any(axis=1).sum())

    def take(self, newer: Observed) -> None:
        """Add records; forget what no window will need."""
        if not len(newer):
            return
        if self.since is None:
            self.since = float(newer.times.min())
        held = self.held.followed_by(newer)
        held = held.at(last_of_each(held.keys))
        self.held = held.at(self._needed(held)) if self._rule.span else held.since(-self._rule.window)

    @property
    def whole(self) -> bool:
        """Whether records were taken for at least one span."""
        if not self._rule.span:
            return True
        return self.since is not None and float(self.held.times.max()) - self.since >= self._rule.span

    def window(self) -> Observed:
        """Return the records to compare: those of the fewest whole spans with enough, and at most `rule.most`."""
        if not self._rule.span or not len(self.held):
            return self.held.since(-self._rule.window)
        places = np.flatnonzero(self.held.times > self._oldest(self.held.times))
        if len(places) > self._rule.most:
            smallest = np.argpartition(self.held.keys[places], self._rule.most)[: self._rule.most]
            places = np.sort(places[smallest])
        return self.held.at(places)

    def _oldest(self, times: Floats) -> float:
        """The time after which a window's records were answered."""
        newest = float(times.max())
        spans = max(int((newest - (newest if self.since is None else self.since)) // self._rule.span), 1)
        if len(times) >= self._rule.window:
            needed = float(np.partition(times, -self._rule.window)[-self._rule.window])
            spans = min(spans, int((newest - needed) // self._rule.span) + 1)
        return newest - spans * self._rule.span

    def _cells(self, times: Floats) -> NDArray[np.int64]:
        return (times // (self._rule.span / CELLS)).astype(np.int64)

    def _needed(self, held: Observed) -> Places:
        """Places of the records that are among the `most` smallest keys of their own cell and all newer ones."""
        most = self._rule.most
        recent = np.flatnonzero(held.times > self._oldest(held.times))
        if len(recent) <= most:
            return recent
        cells = self._cells(held.times[recent])
        smallest: Keys = np.empty(0, dtype=np.uint64)
        kept = []
        for cell in np.unique(cells)[::-1]:
            places = recent[cells == cell]
            keys = held.keys[places]
            smallest = np.concatenate([smallest, keys])
            if len(smallest) > most:
                smallest = np.partition(smallest, most - 1)[:most]
                places = places[keys <= smallest.max()]
            kept.append(places)
        return np.sort(np.concatenate(kept))
