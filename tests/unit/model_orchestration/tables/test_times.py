"""A split by time: every row that judges a model is newer than all rows that it was trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_orchestration.tables.outcomes import add_outcomes
from model_orchestration.tables.sufficiency import require_enough
from model_orchestration.tables.times import first_tested, read_times, split_by_time
from model_orchestration.tables.training_table import (
    TEST,
    TRAIN,
    TrainingTable,
    describe_split,
    knows_test_rows,
    prepare,
    split_rows,
)
from model_orchestration.training.training import Training
from scorehouse.errors import TableError
from scorehouse.pages.defaults import with_defaults
from scorehouse.usecase import Feature, UseCase

ROWS = 300
CASE = with_defaults(
    UseCase(
        name="homes", version=1, title="", about="", source="", target="price", task="amount", answer="price", key="",
        features=(Feature(name="size", kind="number", help=""),), clean=lambda table: table, split_by="sold",
    )
)  # fmt: skip


def homes(rows: int = ROWS, **columns: Any) -> pd.DataFrame:
    """Homes in random order, of which a newer one costs more."""
    rng = np.random.default_rng(rows)
    day, size = rng.permutation(rows), rng.gamma(9, 12, rows).round(1)
    sold = pd.Timestamp("2024-01-31 22:00") + pd.to_timedelta(day * 7, unit="h")
    return pd.DataFrame({"size": size, "price": size * 9 + day, "sold": sold.strftime("%d.%m.%Y %H:%M"), **columns})


def prepared(table: pd.DataFrame, case: UseCase = CASE) -> TrainingTable:
    return prepare(table, case, "homes.csv")


def test_the_newest_rows_judge_and_the_earliest_train() -> None:
    table = prepared(homes())
    side = split_rows(table, CASE, seed=0)
    assert table.times is not None
    for earlier, later in ((0, 1), (1, 2)):
        assert table.times[side == earlier].max() < table.times[side == later].min()
    assert np.bincount(side).tolist() == [210, 45, 45]
    assert describe_split(table, CASE, 0) == "by time (sold), tested from 2024-04-15T07:00:00"
    trained = Training(CASE, table, seed=3)
    np.testing.assert_array_equal(trained.split, side)  # no seed moves it
    require_enough(table, CASE, 0)


def test_rows_of_one_time_are_on_one_side_and_every_side_has_one() -> None:
    years = np.repeat([2019.0, 2020.0, 2021.0, 2022.0], [5, 200, 5, 5])
    side = split_by_time(years, (0.7, 0.15))
    assert [set(side[years == year]) for year in np.unique(years)] == [{0}, {0}, {1}, {2}]
    assert first_tested(years, (0.7, 0.15)) == "2022"
    heavy_end = np.repeat([1.0, 2.0, 3.0], [2, 2, 500])
    assert [set(split_by_time(heavy_end, (0.7, 0.15))[heavy_end == n]) for n in (1, 2, 3)] == [{0}, {1}, {2}]
    with pytest.raises(TableError, match="the rows have only 2 different times, but a split by time needs 3"):
        split_by_time(years[:100], (0.7, 0.15))


@pytest.mark.parametrize(
    ("cells", "times"),
    [
        (["2024-03-01", "1 Mar 2024 13:45"], ["2024-03-01T00:00", "2024-03-01T13:45"]),
        (["26.9.2018", "1.2.2019 1:45 PM"], ["2018-09-26T00:00", "2019-02-01T13:45"]),
        (["2024-03-01T01:00:00+02:00", "2024-03-01T00:00Z"], ["2024-02-29T23:00", "2024-03-01T00:00"]),
        (["1/9/2018", "2018-01-09"], ["NaT", "2018-01-09T00:00"]),
        (["soon", None], ["NaT", "NaT"]),
        ([2019, 2020.5], [2019.0, 2020.5]),
    ],
)
def test_times_are_read_as_every_table_is_and_numbers_are_what_they_are(cells: list[Any], times: list[Any]) -> None:
    expected = np.array(times, dtype=np.float64 if isinstance(times[0], float) else "datetime64[us]")
    np.testing.assert_array_equal(read_times(pd.Series(cells)), expected)


def test_a_row_without_a_time_is_named() -> None:
    table = homes()
    table.loc[[4, 9], "sold"] = ["soon", None]
    with pytest.raises(TableError, match=r"homes.csv: sold: row 5 has 'soon', and so have 1 more, but rows are split"):
        prepared(table)
    with pytest.raises(TableError, match="returns no column 'sold', which is the time by which rows are split"):
        prepared(table.drop(columns="sold"))


def test_a_model_that_was_judged_from_an_earlier_time_on_knows_no_row_that_judges_now() -> None:
    """As the table grows, the boundary moves on: a champion was trained before it, and so on earlier rows."""
    now, before = (describe_split(prepared(homes(rows)), CASE, 0) for rows in (600, 300))
    assert not knows_test_rows(before, now) and not knows_test_rows(now, now)
    assert knows_test_rows(now, before)  # the table has lost its newest rows: some of the others trained the model
    assert knows_test_rows("seed 0, by content", now) and knows_test_rows(now, "seed 0, by content")
    by_other = describe_split(prepared(homes(300, sold=range(300)), CASE), CASE, 0)
    assert by_other == "by time (sold), tested from 255"
    assert not knows_test_rows(by_other.replace("255", "99"), by_other)  # as numbers, not as text
    assert knows_test_rows(by_other.replace("(sold)", "(built)"), by_other)


def test_an_outcome_is_as_new_as_its_prediction_or_its_own_record() -> None:
    outcomes = [
        {
            "prediction_id": f"p{n}", "record": {"size": 20.0 + n}, "outcome": 200.0,
            "outcome_at": f"2026-01-0{n}T00:00:00",
            "created_at": f"2025-12-0{n}T12:00:00+00:00", "customer_id": None,
        }
        for n in range(1, 4)
    ]  # fmt: skip
    table = prepared(homes())
    joined = add_outcomes(table, CASE, outcomes)
    assert joined.times is not None and str(joined.times[-1]).startswith("2025-12-03T12:00")
    assert (split_rows(joined, CASE, 0)[-3:] == TEST).all()
    year = replace(CASE, features=(*CASE.features, Feature(name="sold", kind="integer", help="")))
    by_year = prepared(homes(sold=np.arange(ROWS)), year)
    outcomes[0]["record"]["sold"] = 0  # type: ignore[index]
    dated = add_outcomes(by_year, year, outcomes)
    assert dated.times is not None and dated.times[-3:].tolist() == [0, ROWS - 1, ROWS - 1]
    assert split_rows(dated, year, 0)[-3] == TRAIN
