"""Insurance: what a record holds, what it must not hold, and a sample that drifts."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from model_orchestration.tables.training_table import prepare
from scorehouse.errors import TableError
from scorehouse.scoring.schema import RecordSchema, Rejected
from use_cases.insurance import FEATURES, INPUTS, NEW_CUSTOMER, clean, customers, derive, use_case

QUOTE: dict[str, Any] = {
    "Date_renewal": "2018-09-26", "Date_birth": "1970-04-15", "Date_driving_licence": "1990-03-20", "Type_risk": 3,
    "Area": 0, "Second_driver": 0, "Year_matriculation": 2008, "Power": 90, "Cylinder_capacity": 1600,
    "Value_vehicle": 17600.0, "Type_fuel": "D",
}  # fmt: skip
SCHEMA = RecordSchema(FEATURES)


def two_years(cost: tuple[float, float], claims: tuple[int, int]) -> pd.DataFrame:
    """One customer's two policy years, the later one first."""
    table = pd.DataFrame(use_case.sample(2, 0, 0.0)).assign(ID=7, Date_start_contract="01/03/2015", Seniority=8)
    return table.assign(
        Date_last_renewal=["01/03/2017", "01/03/2016"],
        Date_next_renewal=["01/03/2018", "01/03/2017"],
        Cost_claims_year=cost[::-1],
        N_claims_year=claims[::-1],
    )


def test_years_are_days_over_365_at_the_renewal() -> None:
    derived = derive(QUOTE)
    assert derived["customer_age"] == pytest.approx(17696 / 365)
    assert derived["driving_licence_long"] == pytest.approx(10417 / 365)
    assert derived["vehicle_age"] == 10


def test_seniority_and_the_policy_s_years_make_av_senior_year() -> None:
    later, earlier = clean(two_years((0, 0), (0, 0)))["av_senior_year"]
    assert earlier == pytest.approx((4 + (366 / 365) ** 2) / 2)
    assert later == pytest.approx((4 + (731 / 365) ** 2) / 2)


def test_the_cost_of_this_year_s_claims_is_in_no_record() -> None:
    cheap, dear = (prepare(two_years((300, cost), (2, 1)), use_case).records for cost in (10.0, 90_000.0))
    assert cheap == dear
    assert [r["cost_per_claim"] for r in cheap] == [150, 0]


def test_what_the_model_sees_holds_neither_the_premium_nor_this_year_s_columns_of_claims() -> None:
    assert set(INPUTS).isdisjoint({"Premium", "Cost_claims_year", "N_claims_year", "ID", "Lapse"})
    assert len(INPUTS) == 16


def test_a_customer_s_record_and_a_form_make_a_quote_that_knows_the_last_year() -> None:
    (customer,) = customers(two_years((300, 600), (2, 1)))
    assert customer.pop("ID") == 7
    assert customer["cost_per_claim"] == 300  # 900 for 3
    assert customer["av_senior_year"] == pytest.approx((4 + (1096 / 365) ** 2) / 2)
    assert not isinstance(SCHEMA.check({**QUOTE, **customer}), Rejected)


def test_a_new_customer_s_quote_is_complete() -> None:
    assert not isinstance(SCHEMA.check({**QUOTE, **NEW_CUSTOMER}), Rejected)


@pytest.mark.parametrize("day", ["2018-02-30", "15/04/1970", "1970-4-15", "0197-04-15", "1970-04-15T00:00", 1970, None])
def test_what_is_no_day_is_refused_with_what_is_allowed(day: Any) -> None:
    refused = SCHEMA.check({**QUOTE, **NEW_CUSTOMER, "Date_birth": day})
    assert isinstance(refused, Rejected)
    (error,) = refused.errors
    assert (error.field, error.allowed) == ("Date_birth", "a date as YYYY-MM-DD from 1900 to 2099")


def test_a_past_that_no_model_has_seen_missing_may_not_be_null() -> None:
    refused = SCHEMA.check({**QUOTE, **NEW_CUSTOMER, "av_senior_year": None})
    assert isinstance(refused, Rejected)
    assert refused.reason == "av_senior_year: is not allowed"


def test_a_table_with_a_bad_day_is_refused_by_its_column_and_cell() -> None:
    table = pd.DataFrame(use_case.sample(20, 0, 0.0))
    table.loc[3, "Date_birth"] = "31/02/1970"
    with pytest.raises(
        TableError,
        match="Date_birth: 1 of 20 rows cannot be read, for example '31/02/1970': write YYYY-MM-DD or DD/MM/YYYY",
    ):
        prepare(table, use_case)
