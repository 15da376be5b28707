"""Two-sample statistics of a column: prepared values, Kolmogorov-Smirnov, Pearson chi-square, Holm's correction.

The tests are numpy with the distributions of scipy.special. scipy.stats takes ten times as long (30 ms instead of 3 for
twelve columns of 500 rows), has no Holm correction, and its asymptotic Kolmogorov-Smirnov p value lacks Stephens' term.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Kind = Literal["number", "category"]
Column = tuple[str, Kind]


@dataclass(frozen=True, eq=False)
class Sample:
    """One column of a table: its finite values in ascending order; NaN and infinities count as missing.

    Its rows tell as much as `rows / design_effect` independent ones. Of a reference, values may be off by `tolerance`.
    """

    kind: Kind
    present: Floats
    rows: int
    design_effect: float = 1.0
    tolerance: float = 0.0

    @property
    def missing(self) -> int:
        """Rows without a finite value."""
        return self.rows - len(self.present)

    @cached_property
    def distinct(self) -> tuple[Floats, Floats]:
        """The distinct values, ascending, and how often each occurs."""
        values, counts = np.unique(self.present, return_counts=True)
        return values, counts.astype(np.float64)

    @cached_property
    def deviation(self) -> float:
        """Standard deviation with ddof 0; NaN without values."""
        return float(np.std(self.present)) if len(self.present) else float("nan")


@dataclass(frozen=True, eq=False)
class Table:
    """A reference or a window: its prepared columns by name, in the order given."""

    columns: dict[str, Sample]
    rows: int


def prepare(rows: Floats, columns: Sequence[Column]) -> Table:
    """Sort every column of a (rows x columns) float64 array; NaN is missing, categories are codes.

    Raises ValueError when the array's second dimension is not the number of columns.
    """
    if rows.ndim != 2 or rows.shape[1] != len(columns):
        raise ValueError(f"{len(columns)} columns are named, but the array has the shape {rows.shape}")
    values = np.array(rows.T, dtype=np.float64, order="C")
    values[~np.isfinite(values)] = np.nan
    values.sort(axis=1)  # NaN goes last
    present = len(rows) - np.count_nonzero(np.isnan(values), axis=1)
    samples = {name: Sample(kind, values[i, : present[i]], len(rows)) for i, (name, kind) in enumerate(columns)}
    return Table(samples, len(rows))


def ks_distance(reference: Floats, window: Floats, tolerance: float = 0.0) -> float:
    """Largest distance between the empirical distribution functions of two sorted samples; 0 when either is empty.

    With a tolerance, it is what remains if the window's values may all be higher or lower by so much. It is reached at
    a window value or just before one, so the reference is searched only there.
    """
    m, n = len(reference), len(window)
    if not m or not n:
        return 0.0
    steps = np.arange(n + 1) / n
    above = steps[1:] - reference.searchsorted(window + tolerance, "right") / m
    below = reference.searchsorted(window - tolerance, "left") / m - steps[:-1]
    return float(max(above.max(), below.max(), 0.0))


def ks_p_value(distance: float, m: float, n: float) -> float:
    """Kolmogorov's limit at Stephens' lambda for (effective) sample sizes m and n (Stephens 1970); 1 if one is 0."""
    if not m or not n:
        return 1.0
    root = np.sqrt(m * n / (m + n))
    return float(special.kolmogorov((root + 0.12 + 0.11 / root) * distance))


def paired_counts(reference: Sample, window: Sample) -> tuple[Floats, Floats]:
    """How often each value of the union occurs in the reference and in the window."""
    known, known_counts = reference.distinct
    seen, seen_counts = window.distinct
    values = np.union1d(known, seen)
    counts = np.zeros((2, len(values)))
    counts[0, values.searchsorted(known)] = known_counts
    counts[1, values.searchsorted(seen)] = seen_counts
    return counts[0], counts[1]


def merge_rare_cells(reference: Floats, window: Floats, smallest: float) -> tuple[Floats, Floats]:
    """Merge the cells whose pooled expected window count is under `smallest`.

    If the merged cell is still under it, it joins the smallest common cell. Without this, the chi-square distribution
    does not hold for sparse cells, and windows without drift would raise the alarm.
    """
    pooled = reference + window
    expected = pooled * (window.sum() / pooled.sum())
    rare = expected < smallest
    if not rare.any():
        return reference, window
    counts = np.stack([reference, window])
    common, merged = counts[:, ~rare], counts[:, rare].sum(axis=1)
    if expected[rare].sum() < smallest and common.shape[1]:
        common[:, expected[~rare].argmin()] += merged
    else:
        common = np.column_stack([common, merged])
    return common[0], common[1]


def chi_square(reference: Floats, window: Floats, smallest: float) -> tuple[float, float]:
    """Two-sample Pearson chi-square of counts; return (p value, effect).

    The effect is the total variation of the merged cells. It is (1, 0) where nothing can be compared: a side is empty,
    or a single cell is left after merging.
    """
    m, n = reference.sum(), window.sum()
    if not m or not n:
        return 1.0, 0.0
    reference, window = merge_rare_cells(reference, window, smallest)
    if len(reference) < 2:
        return 1.0, 0.0
    p, q = reference / m, window / n
    statistic = np.sum((p - q) ** 2 / (reference + window)) * m * n
    return float(special.chdtrc(len(reference) - 1, statistic)), float(np.abs(p - q).sum() / 2)


def holm(p_values: Floats) -> Floats:
    """Holm's step-down adjusted p values, in the order given (Holm 1979)."""
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted
