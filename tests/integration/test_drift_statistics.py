"""The two-sample statistics against scipy's, where they have nothing to say, and the rule under dependent traffic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from monitoring.evidently_service.drift.dependence import design_effect
from monitoring.evidently_service.drift.observed import Observed
from monitoring.evidently_service.drift.reference import RunReference
from monitoring.evidently_service.drift.sampling import Sampling
from monitoring.evidently_service.drift.statistics import (
    Column,
    Floats,
    Sample,
    chi_square,
    holm,
    ks_distance,
    ks_p_value,
    merge_rare_cells,
    paired_counts,
    prepare,
)
from monitoring.evidently_service.drift.verdict import DEFAULT_RULE, DriftRule, judge
from scorehouse.bundles.reference import Reference


def test_prepare_sorts_each_column_and_counts_nan_and_infinities_as_missing() -> None:
    rows = np.array([[3.0, 1.0], [np.nan, 0.0], [1.0, 1.0], [np.inf, np.nan]])
    table = prepare(rows, [("limit", "number"), ("card", "category")])
    assert table.rows == 4
    assert table.columns["limit"].present.tolist() == [1.0, 3.0]
    assert table.columns["limit"].missing == 2
    assert [part.tolist() for part in table.columns["card"].distinct] == [[0.0, 1.0], [1.0, 2.0]]
    assert np.isnan(rows[1, 0]) and np.isinf(rows[3, 0]), "the caller's array is left as it was"


def test_prepare_refuses_rows_that_do_not_fit_the_columns() -> None:
    with pytest.raises(ValueError, match="1 columns are named"):
        prepare(np.zeros((3, 2)), [("limit", "number")])


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_ks_distance_equals_scipys_with_and_without_ties(decimals: int) -> None:
    generator = np.random.default_rng(decimals)
    for rows in (1, 2, 17, 400):
        reference = np.sort(np.round(generator.normal(0, 2, 900), decimals))
        window = np.sort(np.round(generator.normal(0.5, 1, rows), decimals))
        expected = stats.ks_2samp(reference, window, method="asymp").statistic
        assert ks_distance(reference, window) == pytest.approx(expected, abs=1e-12)


def test_a_tolerance_forgives_what_is_off_by_so_much_and_counts_the_rest() -> None:
    reference = np.sort(np.random.default_rng(0).normal(0, 1, 5000))
    assert ks_distance(reference, reference + 0.3) > 0.1
    assert ks_distance(reference, reference + 0.3, 0.3) == pytest.approx(0, abs=1e-3)
    assert ks_distance(reference, reference - 0.3, 0.3) == pytest.approx(0, abs=1e-3)
    assert ks_distance(reference, reference + 0.8, 0.3) == pytest.approx(
        ks_distance(reference, reference + 0.5), abs=1e-9
    )


def test_ks_p_value_is_the_series_of_the_rule() -> None:
    m, n, distance = 5000, 500, 0.08
    e = m * n / (m + n)
    scaled = (np.sqrt(e) + 0.12 + 0.11 / np.sqrt(e)) * distance
    series = 2 * sum((-1) ** (k - 1) * np.exp(-2 * k**2 * scaled**2) for k in range(1, 50))
    assert ks_p_value(distance, m, n) == pytest.approx(series, rel=1e-9)


def test_chi_square_equals_scipys_contingency_test_where_no_cell_is_rare() -> None:
    reference, window = np.array([900.0, 70.0, 30.0]), np.array([80.0, 15.0, 5.0])
    window *= 5
    expected = stats.chi2_contingency(np.stack([reference, window]), correction=False).pvalue
    p_value, effect = chi_square(reference, window, smallest=5)
    assert p_value == pytest.approx(expected, rel=1e-9)
    assert effect == pytest.approx(0.10)


def test_rare_cells_are_merged_and_join_the_smallest_common_one_when_still_rare() -> None:
    joined = merge_rare_cells(np.array([900.0, 95.0, 4.0, 1.0]), np.array([90.0, 9.0, 0.0, 1.0]), smallest=5)
    assert [counts.tolist() for counts in joined] == [[900.0, 100.0], [90.0, 10.0]]
    own_cell = merge_rare_cells(np.array([900.0, 40.0, 40.0]), np.array([90.0, 3.0, 4.0]), smallest=5)
    assert [counts.tolist() for counts in own_cell] == [[900.0, 80.0], [90.0, 7.0]]


@pytest.mark.parametrize(("reference", "window"), [([0.0, 0.0], [3.0, 1.0]), ([5.0], [3.0]), ([3.0, 2.0], [0.0, 1.0])])
def test_chi_square_of_an_empty_side_a_single_cell_or_a_single_row_says_nothing(
    reference: list[float], window: list[float]
) -> None:
    assert chi_square(np.array(reference), np.array(window), smallest=5) == (1.0, 0.0)


def test_ks_of_an_empty_side_says_nothing() -> None:
    assert ks_distance(np.array([]), np.array([1.0])) == 0.0
    assert ks_distance(np.array([1.0]), np.array([])) == 0.0
    assert ks_p_value(0.0, 0, 5) == 1.0


def test_paired_counts_cover_values_of_either_side() -> None:
    reference = Sample("category", np.array([0.0, 0.0, 2.0]), 3)
    window = Sample("category", np.array([1.0, 2.0]), 2)
    assert [counts.tolist() for counts in paired_counts(reference, window)] == [[2.0, 0.0, 1.0], [0.0, 1.0, 1.0]]


def test_holm_multiplies_the_smallest_by_all_and_never_falls() -> None:
    assert holm(np.array([0.04, 0.01, 0.03])).tolist() == pytest.approx([0.06, 0.03, 0.06])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []


COLUMNS: list[Column] = [(f"c{i}", "number") for i in range(12)]
DAY, HOUR = 86_400.0, 3600.0
Ints = NDArray[np.int64]


def population(subjects: Ints, seed: int) -> Floats:
    """The same normal row of 12 numbers for the same subject, (n, 12)."""
    found, places = np.unique(subjects, return_inverse=True)
    return np.random.default_rng(seed).normal(size=(len(found), 12))[places]


def in_cycles(*copies: int) -> Callable[[int], Ints]:
    """Subjects of so many records, each of which comes so often in a row."""

    def subjects(count: int) -> Ints:
        ends = np.cumsum(copies)
        cycle, place = np.divmod(np.arange(count), ends[-1])
        found: Ints = cycle * len(copies) + np.searchsorted(ends, place, side="right")
        return found

    return subjects


REPEATS = {
    "each twice in a row": in_cycles(2),
    "each three times": in_cycles(3),
    "30 % five in a row": in_cycles(*(5,) * 3, *(1,) * 35),
    "20 % in runs of 25": in_cycles(25, *(1,) * 100),
    "retry storms, 1 % 100 times": in_cycles(100, *(1,) * 99),
}


class Judged:
    """The rule over a stream of rows: the window that `Sampling` chooses, beside the newest 500 rows as they come."""

    def __init__(self, rule: DriftRule = DEFAULT_RULE, reference: Floats | None = None) -> None:
        rows = population(np.arange(5000), seed=0) if reference is None else reference
        nothing = np.empty(0)
        columns: Any = SimpleNamespace(columns=COLUMNS, optional=np.zeros(12, dtype=np.bool_), classes=[])
        self._reference = RunReference(Reference(rows.astype(np.float32), rows[:, 0], nothing, nothing), columns)
        self._prepared = prepare(rows, COLUMNS)
        self._rule = rule
        self._raw = rows[:0]
        self.sampling = Sampling(observed(rows[:0], nothing, np.empty(0, dtype=np.int64)), rule)
        self.named = [0, 0]  # alarms of the rule, and of the same tests on the newest 500 rows
        self._streaks = [dict[str, int](), dict[str, int]()]
        self.notifications = [0, 0]

    def take(self, rows: Floats, subjects: Ints, times: Floats) -> None:
        """Add rows, judge both windows, and count when something is first confirmed by a second evaluation."""
        self.sampling.take(observed(rows, times, subjects))
        self._raw = np.vstack([self._raw, rows])[-500:]
        tables = self._reference.tables(self.sampling.window())
        verdicts = (
            judge(*tables, self._rule, whole=self.sampling.whole),
            judge(self._prepared, prepare(self._raw, COLUMNS), DEFAULT_RULE),
        )
        for side, verdict in enumerate(verdicts):
            named = verdict.drifted if verdict.alarm else ()
            self.named[side] += bool(named)
            before = max(self._streaks[side].values(), default=0)
            self._streaks[side] = {name: self._streaks[side].get(name, 0) + 1 for name in named}
            self.notifications[side] += before < 2 <= max(self._streaks[side].values(), default=0)


def observed(rows: Floats, times: Floats, subjects: Ints) -> Observed:
    """Rows as the monitor holds them; a subject's key is the same whenever it comes."""
    keys = subjects.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return Observed(rows.astype(np.float32), np.ones(rows.shape, dtype=np.bool_), rows[:, 0], times, subjects, keys)


def follow(judged: Judged, rows: Floats, subjects: Ints, step: int = 125, rate: float = 1.0) -> Judged:
    """Give the rows in steps, at so many a second."""
    times = np.arange(len(rows)) / rate
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        judged.take(rows[part], subjects[part], times[part])
    return judged


def in_a_rhythm(rows: Floats, hours: Floats) -> Floats:
    """Move normal rows by the hour of the day."""
    return rows + 0.7 * np.sin(2 * np.pi * hours / 24)[:, None]


def daily_judged() -> Judged:
    """A rule with windows of a day, and a reference of records of all hours."""
    rows = population(np.arange(5000), seed=0)
    return Judged(replace(DEFAULT_RULE, span=DAY), in_a_rhythm(rows, np.random.default_rng(9).uniform(0, 24, 5000)))


@pytest.mark.parametrize("pattern", REPEATS)
def test_repeated_records_without_drift_notify_nobody(pattern: str) -> None:
    subjects = REPEATS[pattern](12_500)
    judged = follow(Judged(), population(subjects, seed=1), subjects)
    assert judged.notifications[0] == 0
    assert judged.named[1] > 0, "the same tests on the newest 500 records as they come raise false alarms"


def test_households_that_share_columns_without_drift_notify_nobody() -> None:
    subjects = np.arange(12_500)
    rows = population(subjects, seed=2)
    rows[:, :6] = population(subjects // 5, seed=3)[:, :6]
    judged = follow(Judged(), rows, subjects)
    assert judged.notifications[0] == 0
    assert judged.named[1] > 0


def test_a_daily_rhythm_whose_days_are_like_the_training_data_notifies_nobody() -> None:
    subjects, rate = np.arange(40_000), 0.1
    rows = in_a_rhythm(population(subjects, seed=4), subjects / rate / HOUR)
    judged = follow(daily_judged(), rows, subjects, 360, rate)
    assert judged.sampling.whole
    assert judged.notifications[0] == 0
    assert judged.notifications[1] > 2


def test_all_of_it_together_notifies_nobody_and_a_real_shift_notifies_once() -> None:
    rate = 0.2
    subjects = in_cycles(100, 25, *(5,) * 15, *(2,) * 50, *(1,) * 133)(60_000)
    rows = population(subjects, seed=5)
    rows[:, :6] = population(subjects // 5, seed=6)[:, :6]
    rows = in_a_rhythm(rows, np.arange(60_000) / rate / HOUR)
    judged = follow(daily_judged(), rows, subjects, 720, rate)
    assert judged.notifications[0] == 0
    assert judged.named[1] > 20
    rows[30_000:, 7] += 0.8
    shifted = follow(daily_judged(), rows, subjects, 720, rate)
    assert shifted.notifications[0] == 1
    assert shifted.named[0] > 12


def test_before_a_whole_day_was_seen_nothing_is_named() -> None:
    subjects = np.arange(8_000)
    judged = follow(daily_judged(), population(subjects, seed=7) + 2.0, subjects, 400, 0.1)
    assert not judged.sampling.whole
    assert judged.named[0] == 0
    assert judged.named[1] > 0


def test_the_design_effect_is_one_for_independent_records_and_grows_with_runs() -> None:
    effects = {}
    for run in (1, 2, 5, 10):
        found = []
        for seed in range(30):
            values = np.repeat(np.random.default_rng(seed).normal(size=-(-500 // run)), run)[:500]
            found.append(design_effect(values, prepare(values[:, None], [("x", "number")]).columns["x"]))
        effects[run] = float(np.mean(found))
    assert effects[1] < 1.2
    assert effects[2] == pytest.approx(2, rel=0.25)
    assert effects[5] == pytest.approx(5, rel=0.25)
    assert effects[10] == pytest.approx(9, rel=0.3)


def test_neither_a_rhythm_nor_a_shift_in_the_middle_counts_as_dependence() -> None:
    values = np.random.default_rng(0).normal(size=500)
    for change in (np.sin(2 * np.pi * np.arange(500) / 500), np.arange(500) > 250):
        moved = values + change
        assert design_effect(moved, prepare(moved[:, None], [("x", "number")]).columns["x"]) < 1.5


def test_what_is_held_is_bounded_and_its_window_is_that_of_everything() -> None:
    """A subject's chance does not depend on how often it came, and forgetting never changes a window."""
    rule = replace(DEFAULT_RULE, span=2400.0, window=50, most=100)
    generator = np.random.default_rng(0)
    sampling = Sampling(observed(np.empty((0, 12)), np.empty(0), np.empty(0, dtype=np.int64)), rule)
    every: list[tuple[float, int]] = []
    most = 0
    for start in range(0, 10_000, 100):
        subjects = generator.integers(4_000, size=100)
        times = start + np.arange(100.0)
        newer = observed(np.zeros((100, 12)), times, subjects)
        chosen = sampling.candidates(newer.keys, newer.times)
        sampling.take(newer.at(chosen))
        every += zip(times, newer.keys.tolist(), strict=True)
        most = max(most, len(sampling.held))
        newest = {key: at for at, key in every if at > times[-1] - rule.span}
        expected = sorted(newest)[: rule.most]
        if start > rule.span:
            assert sorted(sampling.window().keys.tolist()) == expected
            assert {k: newest[k] for k in expected} == dict(
                zip(sampling.window().keys.tolist(), sampling.window().times, strict=True)
            )
    assert most <= 6 * rule.most
