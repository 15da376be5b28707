"""The drift rule: which columns of a window differ from the reference by more than chance and enough to matter."""

from dataclasses import dataclass, replace

import numpy as np

from monitoring.evidently_service.drift.statistics import (
    Kind,
    Sample,
    Table,
    chi_square,
    holm,
    ks_distance,
    ks_p_value,
    paired_counts,
)


@dataclass(frozen=True)
class DriftRule:
    """Every setting of the rule; benchmarks/drift_rule.py measures the defaults.

    Pages, metrics and alerts describe the rule without its numbers, or read them here: to change it, edit this class.
    """

    window: int = 500  # records, each of another customer or with another content
    span: float = 0.0  # seconds that a window covers at least; whole multiples of it (DRIFT_WINDOW_HOURS)
    most: int = 1000  # records of a window that spans time: more are sampled
    minimum_window: int = 200  # fewer rows never raise the alarm
    step: int = 125  # new records between two evaluations, which are at least a 24th of the span apart
    alpha: float = 1e-4  # of the p value adjusted over all columns
    minimum_distance: float = 0.10  # Kolmogorov-Smirnov distance (or missing share) of a number
    minimum_variation: float = 0.05  # total variation of a category
    prediction_tolerance: float = 0.1  # standard deviations by which another model's predictions may differ
    few_values: int = 10  # a number with no more distinct reference values is treated as a category
    minimum_effective: float = 50.0  # a column with fewer effective records is not judged
    smallest_cell: float = 5.0  # cells with a smaller pooled expected window count are merged
    confirmations: int = 2  # consecutive evaluations in which a column must drift before the alert fires
    reference_rows: int = 5000
    minimum_reference: int = 2000


DEFAULT_RULE = DriftRule()


def drift_rule(hours: float) -> DriftRule:
    """Return the rule with windows that span so many hours (DRIFT_WINDOW_HOURS); 0: so many records, as they come."""
    return replace(DEFAULT_RULE, span=hours * 3600)


@dataclass(frozen=True)
class ColumnVerdict:
    """The result for one column: p values in 0..1, the effect in 0..1 and its threshold.

    `effective` is the number of independent records that would tell as much as the window's.
    """

    name: str
    kind: Kind
    test: str  # "ks" or "chi-square"
    p_value: float
    adjusted_p_value: float
    effect: float
    minimum_effect: float
    drifted: bool
    effective: float


@dataclass(frozen=True)
class Verdict:
    """The result for a window: every compared column, in the reference's order, and the alarm."""

    columns: tuple[ColumnVerdict, ...]
    window_rows: int
    reference_rows: int
    alarm: bool

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the columns that differ, whether or not the window is large enough for the alarm."""
        return tuple(column.name for column in self.columns if column.drifted)

    @property
    def drifted_share(self) -> float:
        """Share of the compared columns that differ, 0..1."""
        return len(self.drifted) / len(self.columns) if self.columns else 0.0


def judge(reference: Table, window: Table, rule: DriftRule = DEFAULT_RULE, *, whole: bool = True) -> Verdict:
    """Compare a window with the reference; `whole` says whether it covers the rule's span of time.

    A column that only one of them has is not compared. A column without any value is compared by its missing share.
    A column drifts when its Holm-adjusted p value and its effect both reach their thresholds. A drifting column raises
    the alarm, unless the window has too few rows or covers too little time.
    """
    shared = [name for name in reference.columns if name in window.columns]
    tests = [compare(reference.columns[name], window.columns[name], rule) for name in shared]
    adjusted = holm(np.array([p_value for _, p_value, _ in tests], dtype=np.float64))
    columns = tuple(
        _column_verdict(name, window.columns[name], test, float(p), rule)
        for name, test, p in zip(shared, tests, adjusted, strict=True)
    )
    alarm = whole and window.rows >= rule.minimum_window and any(column.drifted for column in columns)
    return Verdict(columns, window.rows, reference.rows, alarm)


def _column_verdict(
    name: str,
    window: Sample,
    test: tuple[str, float, float],
    adjusted: float,
    rule: DriftRule,
) -> ColumnVerdict:
    method, p_value, effect = test
    threshold = rule.minimum_distance if method == "ks" else rule.minimum_variation
    effective = window.rows / window.design_effect
    drifted = adjusted <= rule.alpha and effect >= threshold and effective >= rule.minimum_effective
    return ColumnVerdict(name, window.kind, method, p_value, adjusted, effect, threshold, drifted, effective)


def compare(reference: Sample, window: Sample, rule: DriftRule = DEFAULT_RULE) -> tuple[str, float, float]:
    """Test one column; return (test, p value before any correction, effect).

    The window counts as its effective number of records: in Kolmogorov-Smirnov as the sample's size, in chi-square as
    Rao and Scott's first-order correction (1981).
    """
    if reference.kind == "number" and len(reference.distinct[0]) > rule.few_values:
        return ("ks", *_compare_numbers(reference, window, rule))
    counts = paired_counts(reference, window)
    with_missing = (
        np.append(counts[0], reference.missing),
        np.append(counts[1], window.missing) / window.design_effect,
    )
    return ("chi-square", *chi_square(*with_missing, rule.smallest_cell))


def _compare_numbers(reference: Sample, window: Sample, rule: DriftRule) -> tuple[float, float]:
    distance = ks_distance(reference.present, window.present)
    p_value = ks_p_value(distance, len(reference.present), len(window.present) / window.design_effect)
    if reference.tolerance:
        distance = ks_distance(reference.present, window.present, reference.tolerance)
    if not reference.missing and not window.missing:
        return p_value, distance
    known, seen = (np.array([len(side.present), side.missing], dtype=np.float64) for side in (reference, window))
    p_missing, effect_missing = chi_square(known, seen / window.design_effect, rule.smallest_cell)
    return min(1.0, 2 * min(p_value, p_missing)), max(distance, effect_missing)
