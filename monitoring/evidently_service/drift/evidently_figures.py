"""Evidently's drift figures of each column (version 0.7.23), computed directly: a report would take 0.4 s.

Source: evidently/legacy/calculations/stattests of that version. tests/integration/test_evidently_figures.py compares
every score with a real report, within 1e-6. Missing and infinite values are dropped from each column first.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from monitoring.evidently_service.drift.statistics import Floats, Kind, Sample, Table, paired_counts
from monitoring.evidently_service.drift.verdict import DEFAULT_RULE, DriftRule, compare

Method = Literal["ks", "chisquare", "z", "wasserstein", "jensenshannon"]

SMALL_REFERENCE = 1000  # rows up to which Evidently uses p values; above, it uses distances
FEW_VALUES = 5  # a number with no more distinct values on both sides together is treated as a category
DISTANCES = ("wasserstein", "jensenshannon")
P_THRESHOLD = 0.05
DISTANCE_THRESHOLD = 0.1


@dataclass(frozen=True)
class EvidentlyFigure:
    """One column as Evidently sees it; method and score are None where it raises an error: a side has no values.

    `p_value` is always a p value: Evidently's own if its method gives one, else the drift rule's before correction.
    """

    name: str
    kind: Kind
    method: Method | None
    score: float | None
    threshold: float | None
    drifted: bool
    p_value: float


def evidently_figures(reference: Table, window: Table, rule: DriftRule = DEFAULT_RULE) -> tuple[EvidentlyFigure, ...]:
    """Return the figures of every column that both tables have, in the reference's order."""
    return tuple(
        evidently_figure(name, sample, window.columns[name], rule)
        for name, sample in reference.columns.items()
        if name in window.columns
    )


def evidently_figure(name: str, reference: Sample, window: Sample, rule: DriftRule = DEFAULT_RULE) -> EvidentlyFigure:
    """Return one column's figure, by the method that Evidently chooses."""
    kind = reference.kind
    if not len(reference.present) or not len(window.present):
        p_value = compare(reference, window, rule)[1]
        return EvidentlyFigure(name, kind, None, None, None, drifted=False, p_value=p_value)
    method = choose_method(reference, window)
    score = drift_score(method, reference, window)
    if method in DISTANCES:
        p_value, drifted = compare(reference, window, rule)[1], score >= DISTANCE_THRESHOLD
        return EvidentlyFigure(name, kind, method, score, DISTANCE_THRESHOLD, drifted, p_value)
    drifted = score <= P_THRESHOLD if method == "ks" else score < P_THRESHOLD
    return EvidentlyFigure(name, kind, method, score, P_THRESHOLD, drifted, p_value=score)


def choose_method(reference: Sample, window: Sample) -> Method:
    """Return Evidently's default method: it depends on the reference's rows and the distinct values of both sides."""
    small = len(reference.present) <= SMALL_REFERENCE
    values = len(np.union1d(reference.distinct[0], window.distinct[0]))
    if reference.kind == "number" and values > FEW_VALUES:
        return "ks" if small else "wasserstein"
    if not small:
        return "jensenshannon"
    return "chisquare" if values > 2 else "z"


def drift_score(method: Method, reference: Sample, window: Sample) -> float:
    """Return Evidently's score: a p value (drift when low) or a distance (drift when high)."""
    from scipy import stats  # 50 MB and two seconds, which are spent at the first window and not at the start
    from scipy.spatial import distance

    if method == "ks":
        return float(stats.ks_2samp(reference.present, window.present).pvalue)
    if method == "wasserstein":
        return float(stats.wasserstein_distance(reference.present, window.present)) / max(reference.deviation, 0.001)
    expected, observed = paired_counts(reference, window)
    if method == "jensenshannon":
        return float(distance.jensenshannon(expected, observed))
    return _chi_square_p(expected, observed) if method == "chisquare" else _z_p(expected, observed)


def _chi_square_p(reference: Floats, window: Floats) -> float:
    """One-sample chi-square against the reference, scaled to the window; 0 if the reference lacks a value."""
    expected = reference * (window.sum() / reference.sum())
    if not expected.all():
        return 0.0
    return float(special.chdtrc(len(expected) - 1, np.sum((window - expected) ** 2 / expected)))


def _z_p(reference: Floats, window: Floats) -> float:
    """Two-sided z test of two proportions, pooled; 1 when both sides hold the same single value."""
    if len(reference) == 1:
        return 1.0
    m, n = reference.sum(), window.sum()
    pooled = (reference[1] + window[1]) / (m + n)
    z = (reference[1] / m - window[1] / n) / np.sqrt(pooled * (1 - pooled) * (1 / m + 1 / n))
    return float(2 * special.ndtr(-abs(z)))
