"""Claims: codes that no batch can change, tables that are refused by name, and a sample that drifts."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from model_orchestration.tables.training_table import prepare
from scorehouse.errors import TableError
from scorehouse.scoring.encoding import Encoder
from scorehouse.scoring.schema import RecordSchema, Rejected
from use_cases.claims import DATED, FEATURES, TARGET, clean, use_case


def table(rows: int = 50, seed: int = 0, drift: float = 0.0) -> pd.DataFrame:
    return pd.DataFrame(use_case.sample(rows, seed, drift))


def test_neither_the_row_s_number_nor_what_is_there_twice_is_a_feature() -> None:
    twice = {"insurance_hist_2": "financial_hist_1", "insurance_hist_3": "financial_hist_3"}
    raw, names = table(), {f.name for f in FEATURES}
    assert all(np.allclose(raw[copy], raw[first]) for copy, first in twice.items())
    assert np.corrcoef(raw["insurance_hist_5"], raw["income"])[0, 1] > 0.999
    assert names.isdisjoint({"", "Unnamed: 0", "family_history_3", "employment_type", "insurance_hist_5", *twice})
    assert len(names) == 35


def test_a_code_is_the_same_whoever_else_is_in_the_batch() -> None:
    encoder, records = Encoder.of(use_case.columns), prepare(table(), use_case).records
    together = encoder.rows(records)
    assert all(np.array_equal(encoder.rows([r])[0], row) for r, row in zip(records, together, strict=True))


def test_the_order_of_the_columns_changes_nothing() -> None:
    backwards = table().iloc[:, ::-1]
    assert prepare(backwards, use_case).records == prepare(table(), use_case).records


def test_a_renamed_category_is_refused_by_column_and_row() -> None:
    raw = table()
    raw.loc[[4, 9], "location"] = "London"
    with pytest.raises(
        TableError, match=r"location: 2 of 50 rows cannot be read: row 5, 'London', is not one of 'A', 'B'"
    ):
        prepare(raw, use_case)


def test_one_missing_code_is_refused_and_the_others_are_read() -> None:
    raw = table()
    raw.loc[5, "health_status"] = np.nan
    with pytest.raises(
        TableError, match="health_status: 1 of 50 rows cannot be read: row 6 is empty, but must be one of 1, 2, 3, 4"
    ):
        prepare(raw, use_case)


@pytest.mark.parametrize("column", ["income level", TARGET])
def test_a_missing_column_is_refused_by_name(column: str) -> None:
    with pytest.raises(TableError, match=column):
        prepare(table().drop(columns=column), use_case)


def test_a_day_s_applications_need_no_outcome_and_no_date() -> None:
    assert list(clean(table().drop(columns=[TARGET, DATED]))) == [f.name for f in FEATURES]


def test_training_sees_the_months_before_and_no_more() -> None:
    raw = table(2000)
    before = prepare(raw, use_case, before=date(2025, 7, 1))
    assert len(before.truth) == (raw[DATED] < "2025-07-01").sum()
    assert 800 < len(before.truth) < 1200
    undated = raw.drop(columns=DATED)
    assert len(prepare(undated, use_case, before=date(2025, 7, 1)).truth) == 2000


def test_a_name_with_a_space_is_a_field_like_any_other() -> None:
    schema, record = RecordSchema(FEATURES), prepare(table(), use_case).records[0]
    assert not isinstance(schema.check(record), Rejected)
    refused = schema.check({**record, "income level": 9})
    assert isinstance(refused, Rejected)
    assert refused.reason == "income level: is not allowed"
    assert schema.json_schema()["properties"]["income level"]["enum"] == [0, 1, 2, 3, 4]


def test_drift_lowers_incomes_and_makes_more_outcomes_a_coin_s() -> None:
    usual, drifted = table(3000, 3), table(3000, 3, 1.0)
    assert drifted["income"].mean() < 0.8 * usual["income"].mean()
    assert drifted[TARGET].mean() > 1.4 * usual[TARGET].mean()
