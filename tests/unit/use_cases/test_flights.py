"""Flights: what is derived is right, what is unknown is scored, and the sample drifts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_orchestration.tables.training_table import assign_splits, prepare
from scorehouse.scoring.encoding import Encoder
from scorehouse.scoring.schema import RecordSchema, Rejected
from server.web.api.invocations import to_records
from use_cases.flights import derive, use_case

RECORD: dict[str, Any] = {f.name: f.example for f in use_case.features}
COLUMNS = ["prediction_id", "airline", "source", "destination", "total_stops", "date", "month", "year", "dep_hours"]
COLUMNS += ["dep_min", "arrival_hours", "arrival_min", "duration_hours", "duration_min"]


def derived(**changed: Any) -> dict[str, Any]:
    """What follows from the example with some fields changed, by way of the schema as at serving."""
    checked = RecordSchema(use_case.features).check({**RECORD, **changed})
    assert not isinstance(checked, Rejected)
    return dict(derive(checked))


def test_the_weekday_follows_from_date_month_and_year() -> None:
    assert derived(date=24, month=3, year=2019)["weekday"] == 6  # a Sunday
    assert derived(date=1, month=5, year=2019)["weekday"] == 2
    assert derived(date=29, month=2, year=2024)["weekday"] == 3


@pytest.mark.parametrize("day", [{"date": 31, "month": 6}, {"date": 29, "month": 2, "year": 2019}, {"month": None}])
def test_a_day_that_no_calendar_has_leaves_the_weekday_missing(day: dict[str, Any]) -> None:
    assert derived(**day)["weekday"] is None


@pytest.mark.parametrize(
    ("hours", "minutes", "nearest"), [(22, 20, 22), (22, 30, 23), (23, 45, 0), (0, 0, 0), (7, None, 7)]
)
def test_hours_are_rounded_around_the_clock(hours: int, minutes: int | None, nearest: int) -> None:
    found = derived(dep_hours=hours, dep_min=minutes, arrival_hours=hours, arrival_min=minutes)
    assert found["departure_hour"] == found["arrival_hour"] == nearest


def test_duration_and_trip_join_their_parts() -> None:
    found = derived(duration_hours=2, duration_min=50)
    assert found["total_duration_minutes"] == 170
    assert found["trip"] == "Banglore_New Delhi"


def test_what_is_missing_makes_what_follows_from_it_missing() -> None:
    found = derived(**dict.fromkeys(RECORD))
    for feature in use_case.derived:
        assert found[feature.name] is None
    assert np.isnan(Encoder.of(use_case.columns).row(found)).all()


def test_every_code_of_a_known_record_reaches_the_model() -> None:
    row = Encoder.of(use_case.columns).row(derived())
    assert not np.isnan(row).any()


def test_an_airline_never_seen_is_scored_as_a_missing_one() -> None:
    encoder = Encoder.of(use_case.columns)
    new, missing = (encoder.row(derived(airline=a, source=a)) for a in ("Air of Tomorrow", None))
    np.testing.assert_array_equal(new, missing)
    assert np.isnan(new[encoder.names.index("airline")])
    assert np.isnan(new[encoder.names.index("trip")])


@pytest.mark.parametrize(
    "bad", [{"dep_hours": 24}, {"dep_min": -1}, {"month": 13}, {"date": 0}, {"total_stops": 1.5}, {"airline": 1.5}]
)
def test_what_no_flight_has_is_refused_by_name(bad: dict[str, Any]) -> None:
    checked = RecordSchema(use_case.features).check({**RECORD, **bad})
    assert isinstance(checked, Rejected)
    assert [e.field for e in checked.errors] == list(bad)


def test_columns_as_sagemaker_sends_them_are_records() -> None:
    body = {name: [RECORD.get(name, "p-1"), RECORD.get(name, "p-2")] for name in COLUMNS}
    check = RecordSchema(use_case.features).check
    records = [check(r) for r in to_records(body, [f.name for f in use_case.features], 100)]
    assert [r["prediction_id"] for r in records if not isinstance(r, Rejected)] == ["p-1", "p-2"]


def test_no_row_is_dropped_and_copies_of_a_row_share_their_side() -> None:
    raw = pd.DataFrame(use_case.sample(300, 3, 0.0))
    table = prepare(pd.concat([raw, raw.iloc[:50]]), use_case)
    assert len(table.records) == 350
    side = assign_splits(table.keys, 0, use_case.split)
    assert (side[:50] == side[300:]).all()
    assert len(set(side)) == 3


def test_one_gap_in_a_column_moves_no_other_row_to_another_side() -> None:
    raw = pd.DataFrame(use_case.sample(100, 3, 0.0))
    gap = raw.astype({"Dep_min": float})
    gap.loc[0, "Dep_min"] = np.nan
    before, after = prepare(raw, use_case).keys, prepare(gap, use_case).keys
    assert before[1:] == after[1:]
    assert before[0] != after[0]


def test_the_sample_is_the_same_for_the_same_seed_and_moves_with_drift() -> None:
    first, again, other = (use_case.sample(2000, seed, 0.0) for seed in (1, 1, 2))
    assert all(np.array_equal(first[c], again[c]) for c in first)
    assert any(not np.array_equal(first[c], other[c]) for c in first)
    drifted = use_case.sample(2000, 1, 1.0)
    assert drifted["Price"].mean() > 1.2 * first["Price"].mean()
    assert np.mean(drifted["Airline"] == "IndiGo") > 2 * np.mean(first["Airline"] == "IndiGo")


def test_arrival_is_departure_plus_the_time_on_the_way() -> None:
    made = use_case.sample(500, 1, 0.5)
    minutes = {k: made[f"{k}_hours"] * 60 + made[f"{k}_min"] for k in ("Dep", "Arrival", "Duration")}
    assert ((minutes["Dep"] + minutes["Duration"] - minutes["Arrival"]) % 1440 == 0).all()
