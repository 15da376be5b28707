"""The two-sample statistics against scipy's, and where they have nothing to say."""

import numpy as np
import pytest
from scipy import stats

from monitoring.evidently_service.drift.statistics import (
    Sample,
    chi_square,
    holm,
    ks_distance,
    ks_p_value,
    merge_rare_cells,
    paired_counts,
    prepare,
)


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
