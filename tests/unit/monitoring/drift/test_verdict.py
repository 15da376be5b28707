"""The trusted verdict: quiet on the same population, loud on a real shift, and calm about odd windows."""

import numpy as np
import pytest

from monitoring.evidently_service.drift.statistics import Column, Floats, prepare
from monitoring.evidently_service.drift.verdict import Verdict, judge

COLUMNS: list[Column] = [("limit", "number"), ("months", "number"), ("card", "category"), ("prediction", "number")]


def customers(rows: int, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    limit = generator.lognormal(8, 1, rows)
    months = np.round(generator.normal(36, 8, rows))
    card = generator.choice(4, rows, p=[0.93, 0.055, 0.012, 0.003]).astype(float)
    return np.column_stack([limit, months, card, generator.beta(2, 8, rows)])


REFERENCE = prepare(customers(5000, seed=0), COLUMNS)


def verdict_of(rows: Floats) -> Verdict:
    return judge(REFERENCE, prepare(rows, COLUMNS))


def test_two_hundred_windows_of_the_same_population_raise_no_alarm() -> None:
    assert sum(verdict_of(customers(500, seed)).alarm for seed in range(1, 201)) == 0


def test_a_shifted_number_is_named_and_raises_the_alarm() -> None:
    window = customers(500, seed=1)
    window[:, 0] *= 0.7
    verdict = verdict_of(window)
    assert verdict.drifted == ("limit",)
    assert verdict.alarm
    assert verdict.drifted_share == 0.25


def test_a_tenth_of_cards_turned_is_named() -> None:
    window = customers(500, seed=2)
    window[:50, 2] = 1
    assert verdict_of(window).drifted == ("card",)


def test_a_sure_but_small_difference_is_not_named() -> None:
    window = customers(40_000, seed=3)
    window[:, 0] *= 1.15
    limit = verdict_of(window).columns[0]
    assert limit.adjusted_p_value < 1e-6
    assert limit.effect < 0.1
    assert not limit.drifted


def test_values_gone_missing_are_named_though_the_rest_is_unchanged() -> None:
    window = customers(500, seed=4)
    window[:100, 0] = np.nan
    limit = verdict_of(window).columns[0]
    assert limit.drifted
    assert limit.effect == pytest.approx(0.2, abs=0.01)


def test_an_all_null_column_is_drift_by_its_missing_share() -> None:
    window = customers(500, seed=5)
    window[:, 3] = np.nan
    verdict = verdict_of(window)
    assert verdict.drifted == ("prediction",)
    assert verdict.columns[3].effect == 1.0


def test_a_column_missing_on_both_sides_is_not_drift() -> None:
    empty = prepare(np.full((5000, 1), np.nan), [("limit", "number")])
    column = judge(empty, prepare(np.full((500, 1), np.nan), [("limit", "number")])).columns[0]
    assert (column.p_value, column.effect, column.drifted) == (1.0, 0.0, False)


def test_a_constant_that_starts_to_vary_is_named_and_one_that_stays_is_not() -> None:
    columns: list[Column] = [("stays", "number"), ("varies", "number")]
    reference = prepare(np.full((5000, 2), 3.0), columns)
    window = np.column_stack([np.full(500, 3.0), np.random.default_rng(0).normal(3, 1, 500)])
    assert judge(reference, prepare(window, columns)).drifted == ("varies",)


def test_an_unseen_category_in_a_tenth_of_rows_is_named_and_in_a_hundredth_is_not() -> None:
    window = customers(500, seed=6)
    window[:5, 2] = 9
    assert verdict_of(window).drifted == ()
    window[:50, 2] = 9
    assert verdict_of(window).drifted == ("card",)


def test_only_columns_that_both_tables_have_are_compared() -> None:
    window = customers(500, seed=7)[:, :1]
    verdict = judge(REFERENCE, prepare(np.column_stack([window, window]), [("limit", "number"), ("new", "number")]))
    assert [column.name for column in verdict.columns] == ["limit"]
    nothing = judge(REFERENCE, prepare(np.empty((500, 0)), []))
    assert (nothing.columns, nothing.alarm, nothing.drifted_share) == ((), False, 0.0)


@pytest.mark.parametrize("rows", [0, 1, 2, 199])
def test_a_window_under_the_minimum_never_raises_the_alarm(rows: int) -> None:
    window = customers(rows, seed=8)
    window[:, 0] = 1e6
    verdict = verdict_of(window)
    assert verdict.window_rows == rows
    assert not verdict.alarm
    assert all(0 <= column.p_value <= 1 and 0 <= column.effect <= 1 for column in verdict.columns)


def test_the_same_window_at_the_minimum_does_raise_it() -> None:
    window = customers(200, seed=8)
    window[:, 0] = 1e6
    assert verdict_of(window).alarm


def test_an_empty_reference_raises_no_alarm() -> None:
    verdict = judge(prepare(np.empty((0, 4)), COLUMNS), prepare(customers(500, seed=9), COLUMNS))
    assert not verdict.alarm
