"""The parts of dates: what a calendar says, at every door, and before what a page derives."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from scorehouse.pages.records import random_records
from scorehouse.scoring.derivation import derivation
from scorehouse.scoring.encoding import Encoder
from scorehouse.scoring.schema import RecordSchema, Rejected
from scorehouse.usecase import Feature, Record, as_it_is, with_parts
from tests.unit.toy import Toy

DAY = Feature(
    name="bought", kind="date", help="Bought", low=1900, high=2099,
    parts=("year", "month", "day", "weekday", "day_of_year"),
)  # fmt: skip
TIME = Feature(name="at", kind="datetime", help="At", low=1900, high=2099, parts=("weekday", "hour", "minute"))
ALLOWED = "a date and time as YYYY-MM-DDThh:mm:ss from 1900 to 2099, or null"
ZONES = st.none() | st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m))) | st.just(UTC)


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)))
def test_the_parts_of_a_date_are_those_of_the_calendar(day: date) -> None:
    record = derivation([DAY], as_it_is)({"bought": str(day)})
    number = (day - date(day.year, 1, 1)).days + 1
    parts = [day.year, day.month, day.day, day.weekday(), number]
    assert record == {"bought": str(day), **dict(zip((c.name for c in DAY.part_columns), parts, strict=True))}


FIRST, LAST = datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2099-12-31")


@given(st.datetimes(FIRST, LAST, timezones=ZONES), st.sampled_from("T "))
def test_the_parts_of_a_time_are_those_of_the_clock_that_is_written(when: datetime, between: str) -> None:
    text = when.isoformat(between)
    checked = RecordSchema([TIME]).check({"at": text})
    assert checked == {"at": text}
    found = derivation([TIME], as_it_is)(checked)
    assert [found[f"at_{part}"] for part in TIME.parts] == [when.weekday(), when.hour, when.minute]


FORMS = ["2014-05-02T13:45:00", "2014-05-02 13:45", "2014-05-02T13:45:00.5", "2014-05-02T13:45Z",
         "2014-05-02T13:45:00.123456789+02:00", "2014-05-02 13:45:00-0530", "2014-05-02T13:45+02"]  # fmt: skip
BAD = ["", "2014-05-02", "13:45", "2014-05-02T24:00", "2014-05-02T13:60", "2014-05-02T13:45:60", "02.05.2014 13:45",
       "2014-05-02T13:45:00,5", "2014-05-02T13:45z", "20140502T134500", "2014-05-02T13:45:00.", "1899-12-31T23:59",
       "2100-01-01T00:00", "2014-05-02T1:45 PM", "2014-05-02T13:45\n", "2014-W18-5T13:45",
       "\uff12\uff1014-05-02T13:45"]  # fmt: skip


@pytest.mark.parametrize("text", FORMS)
def test_a_datetime_is_text_in_the_usual_forms_of_iso_8601(text: str) -> None:
    schema = RecordSchema([TIME])
    assert schema.check({"at": text}) == {"at": text}
    assert Draft202012Validator(schema.json_schema()).is_valid({"at": text})
    assert derivation([TIME], as_it_is)({"at": text}) == {"at": text, "at_weekday": 4, "at_hour": 13, "at_minute": 45}


@pytest.mark.parametrize("value", [*BAD, 1399038300, True, ["2014-05-02T13:45"]])
def test_what_is_no_datetime_is_refused_with_what_is_allowed(value: object) -> None:
    schema = RecordSchema([TIME])
    refused = schema.check({"at": value})
    assert isinstance(refused, Rejected)
    assert [(e.field, e.problem, e.allowed) for e in refused.errors] == [("at", "is not allowed", ALLOWED)]
    if value != "2014-05-02T13:45\n":  # Python's patterns may end before a newline; those of JSON Schema do not
        assert not Draft202012Validator(schema.json_schema()).is_valid({"at": value})


def test_a_time_on_a_day_that_does_not_exist_is_refused() -> None:
    assert isinstance(RecordSchema([TIME]).check({"at": "2014-02-30T13:45"}), Rejected)  # which no pattern can say


def test_the_parts_of_a_null_are_null_and_those_of_an_absent_date_are_absent() -> None:
    derive = derivation([DAY, TIME], as_it_is)
    assert derive({"at": None}) == {"at": None, "at_weekday": None, "at_hour": None, "at_minute": None}
    encoder = Encoder.of(f for f in with_parts([DAY, TIME]) if not f.is_time)
    for record in ({}, {"at": None, "bought": None}):
        assert all(n != n for n in encoder.row(derive(record)))


def test_derive_is_given_the_parts_and_the_record_stays_as_it_was() -> None:
    def derive(record: Record) -> Record:
        return {**record, "is_weekend": int(record["at_weekday"] or 0) >= 5}

    record = {"at": "2014-05-03T13:45"}
    assert derivation([TIME], derive)(record)["is_weekend"] is True
    assert record == {"at": "2014-05-03T13:45"}


def test_without_parts_derive_is_called_as_it_is() -> None:
    assert derivation([Feature(name="at", kind="datetime", help="")], as_it_is) is as_it_is


def test_random_records_have_times_in_every_form_and_all_are_valid(toy: Toy) -> None:
    features = (TIME, DAY, Feature(name="old", kind="datetime", help="", high=99))
    case, schema = replace(toy.use_case, features=features), RecordSchema(features)
    records = random_records(case, 300, 5)
    assert not [r for r in records if isinstance(schema.check(orjson.loads(orjson.dumps(r))), Rejected)]
    lengths = {len(r["at"]) for r in records if r.get("at")}
    assert {16, 17, 19, 20, 22, 24, 25} <= lengths
