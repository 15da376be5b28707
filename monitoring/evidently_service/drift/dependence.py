"""How much records that follow each other resemble each other: the design effect of a column (Kish 1965).

n records with the design effect d tell as much as n / d independent ones. The variance of a mean is measured between
neighbouring blocks of records (the overlapping Allan variance, Allan 1966). Unlike the variance between all blocks,
it does not grow with what changes slowly, such as the rhythm of a day or a shift in the middle of the window.
"""

import numpy as np
from numpy.typing import NDArray

from monitoring.evidently_service.drift.statistics import Floats, Sample

BLOCKS = 20  # of a window: runs of records up to about half a block's length are measured in full
EIGHTHS = np.arange(1, 8) / 8
MOST_CATEGORIES = 10


def design_effect(values: Floats, sample: Sample) -> float:
    """Return the design effect, at least 1, of a column (n,) in the records' order; `sample` is the same, sorted."""
    size = len(values) // BLOCKS
    if size < 2:
        return 1.0
    marks = _indicators(values, sample)
    sums = np.zeros((len(marks), len(values) + 1), dtype=np.int64)
    np.cumsum(marks, axis=1, out=sums[:, 1:])
    share = sums[:, -1] / len(values)
    independent = size * (share * (1 - share)).sum()
    if not independent:
        return 1.0
    counts = sums[:, size:] - sums[:, :-size]
    steps = counts[:, size:] - counts[:, :-size]
    return max(1.0, float(np.square(steps).mean(axis=1).sum() / 2 / independent))


def _indicators(values: Floats, sample: Sample) -> NDArray[np.bool_]:
    """Whether each value is under an eighth of a number, or one of the common categories, and whether it is missing.

    Their shares describe the distribution; the result is (shares, n).
    """
    if sample.kind == "category":
        found, counts = sample.distinct
        marks = values == found[np.argsort(-counts)[:MOST_CATEGORIES], None]
    elif not len(sample.present):
        return ~np.isfinite(values)[None]
    else:
        marks = values <= sample.present[(EIGHTHS * len(sample.present)).astype(np.intp), None]
    return np.vstack([marks, ~np.isfinite(values)]) if sample.missing else marks
