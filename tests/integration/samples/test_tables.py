"""Tables as they go wrong, for every use case: a column missing, a category renamed, the columns in another order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model_orchestration.tables.training_table import TrainingTable, prepare
from scorehouse.errors import TableError
from scorehouse.pages.loading import load_use_case
from scorehouse.usecase import UseCase

CASES = ("churn", "insurance", "claims", "flights", "wine")
GONE = {"churn": "Credit_Limit", "insurance": "Date_birth", "claims": "bmi", "flights": "Total_Stops", "wine": "pH"}
RENAMED = {  # a column, a category of it, and what that is called now
    "churn": ("Card_Category", "Blue", "Azure"),
    "insurance": ("Type_fuel", "D", "Kerosene"),
    "claims": ("location", "A", "Aberdeen"),
}
ROWS = 400


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> UseCase:
    return load_use_case(request.param)


def raw(case: UseCase) -> pd.DataFrame:
    return pd.DataFrame(case.sample(ROWS, 5, 0.0))


def same(a: TrainingTable, b: TrainingTable) -> bool:
    return (
        a.records == b.records and a.keys == b.keys and a.data_hash == b.data_hash and bool((a.truth == b.truth).all())
    )


def test_the_order_of_columns_changes_nothing(case: UseCase) -> None:
    table = raw(case)
    shuffled = table[list(np.random.default_rng(1).permutation(table.columns))]
    assert list(shuffled.columns) != list(table.columns)
    assert same(prepare(shuffled, case), prepare(table, case))


def test_a_missing_column_is_named(case: UseCase) -> None:
    gone = GONE[case.name]
    with pytest.raises(TableError, match=rf"(?i){gone}"):
        prepare(raw(case).drop(columns=gone), case)


def test_a_table_without_the_target_is_refused_by_its_name(case: UseCase) -> None:
    table = raw(case)
    target = {"churn": "Attrition_Flag", "flights": "Price"}.get(case.name, case.target)
    with pytest.raises(TableError, match=rf"(?i){target}"):
        prepare(table.drop(columns=target), case)


@pytest.mark.parametrize("name", RENAMED)
def test_a_renamed_category_is_refused_by_column_and_row_with_what_is_allowed(name: str) -> None:
    case, (column, old, new) = load_use_case(name), RENAMED[name]
    table = raw(case)
    rows = np.flatnonzero(table[column] == old)
    table[column] = table[column].replace(old, new)
    with pytest.raises(TableError) as refused:
        prepare(table, case)
    expected = f"{column}: {len(rows)} of {ROWS} rows cannot be read: row {rows[0] + 1}, '{new}', is not one of "
    assert str(refused.value).startswith(expected)


def test_a_new_airline_is_taken_as_a_missing_one_as_flights_declares() -> None:
    case = load_use_case("flights")
    table = raw(case)
    table["Airline"] = table["Airline"].replace("IndiGo", "IndiGo 6E")
    assert "IndiGo 6E" in {r["airline"] for r in prepare(table, case).records}


def test_a_mark_that_is_a_word_is_named_by_row() -> None:
    case = load_use_case("wine")
    table = raw(case).astype({"quality": object})
    table.loc[7, "quality"] = "good"
    with pytest.raises(TableError, match="quality: 1 of 400 rows cannot be read: row 8, 'good', is not a whole"):
        prepare(table, case)
