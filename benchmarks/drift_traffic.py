"""Traffic without drift in its population, as it comes in real life: repeats, batches, households, a daily rhythm.

A stream is a sequence of records. It is a function of their positions, so that any part can be made without the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitoring.evidently_service.drift.statistics import Floats

Ints = NDArray[np.int64]
HOUR, DAY, WEEK = 3600.0, 86_400.0, 604_800.0
_HOURS = np.arange(168)
_DAILY = np.sin(2 * np.pi * (_HOURS % 24 - 9) / 24)
_WEEKEND = _HOURS // 24 >= 5
VOLUME = (1 + 0.7 * _DAILY) * np.where(_WEEKEND, 0.6, 1.0)  # records of each hour of a week, relative
VOLUME /= VOLUME.mean()


def uniform(of: Ints, stream: int) -> Floats:
    """Return a number in [0, 1) for each integer, always the same (splitmix64)."""
    with np.errstate(over="ignore"):
        z = of.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64((stream * 0xD1B54A32D192ED03) % 2**64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (z ^ (z >> np.uint64(31))).astype(np.float64) / 2.0**64


@dataclass(frozen=True)
class Pattern:
    """How records follow each other.

    `copies` is a cycle: so often each new record comes in a row. `resembling` records in a row share half of their
    columns. `daily` and `weekly` (0 to 1) are the strength of the rhythm: at 1, the share of the records at one end of
    the population falls from twice the usual to none.
    """

    name: str
    copies: tuple[int, ...] = (1,)
    resembling: int = 1
    daily: float = 0.0
    weekly: float = 0.0
    ends: Ints = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ends", np.cumsum(self.copies))

    @property
    def records_per_subject(self) -> float:
        """Mean number of records with the same content."""
        return float(self.ends[-1]) / len(self.copies)

    def subjects_at(self, positions: Ints) -> Ints:
        """Return the subject of the record at each position."""
        cycle, place = np.divmod(positions, self.ends[-1])
        return cycle * len(self.copies) + np.searchsorted(self.ends, place, side="right")

    def volume(self, hour: int) -> float:
        """Records in this hour since the start of a week, 1 on average."""
        return float(VOLUME[hour % 168]) if self.daily or self.weekly else 1.0

    def tilt(self, hours: Ints) -> Floats:
        """Return the tilt (-1..1) of the population in each hour; over a week, it is 0 on average."""
        daily = _DAILY - np.average(_DAILY, weights=VOLUME)
        weekly = _WEEKEND - np.average(_WEEKEND, weights=VOLUME)
        tilts: Floats = (self.daily * daily + self.weekly * weekly)[hours % 168]
        return tilts


PATTERNS = (
    Pattern("independent"),
    Pattern("each twice in a row", (2,)),
    Pattern("each three times", (3,)),
    Pattern("30 % five in a row", (5,) * 3 + (1,) * 35),
    Pattern("20 % in runs of 25", (25,) + (1,) * 100),
    Pattern("retry storms: 1 % 100 times", (100,) + (1,) * 99),
    Pattern("households of five", resembling=5),
    Pattern("daily and weekly rhythm", daily=0.7, weekly=0.12),
    Pattern("all together", ((100,) + (25,) + (5,) * 15 + (2,) * 50 + (1,) * 133), 5, 0.7, 0.12),
)


@dataclass(frozen=True, eq=False)
class Population:
    """Rows (n, columns) from which records are drawn with replacement, in the order along which a rhythm tilts them."""

    rows: Floats
    order: Ints  # the rows' places in the table
    shared: NDArray[np.bool_]  # the columns that resembling records have in common

    @classmethod
    def of(cls, rows: Floats, seed: int) -> Population:
        """Order the rows by the sum of their ranks, so that a tilt moves every column a little and some much."""
        filled = np.where(np.isnan(rows), np.nanmedian(rows, axis=0), rows)
        ranks = filled.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable") / len(rows)
        weights = 1.0 / np.arange(1, rows.shape[1] + 1)
        order = (ranks @ np.random.default_rng(seed).permutation(weights)).argsort(kind="stable")
        return cls(rows[order], order, np.arange(rows.shape[1]) % 2 == 0)

    def draw(self, pattern: Pattern, subjects: Ints, hours: Ints, stream: int) -> tuple[Floats, Ints]:
        """Return the records of these subjects, (n, columns), and the row from which each comes."""
        tilt = pattern.tilt(hours)
        places = self._places(uniform(subjects, stream), tilt)
        rows = self.rows[places]
        if pattern.resembling > 1:
            house = self._places(uniform(subjects // pattern.resembling, stream + 1), tilt)
            rows = np.where(self.shared, self.rows[house], rows)
        return rows, places

    def _places(self, chance: Floats, tilt: Floats) -> Ints:
        """Places whose density is 1 + tilt (2 r - 1) at the share r of the order."""
        small = np.abs(tilt) < 1e-9
        a = np.where(small, 1.0, tilt)
        root = (-(1 - a) + np.sqrt((1 - a) ** 2 + 4 * a * chance)) / (2 * a)
        share = np.where(small, chance, root)
        return np.minimum((share * len(self.rows)).astype(np.int64), len(self.rows) - 1)
