"""What a cell means for a feature: numbers as people write them, gaps, levels and days."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from scorehouse.tables.cells import MISSING, Notation, Notations, is_missing, parse_number, to_value, to_values
from scorehouse.usecase import Feature

NUMBER = Feature(name="limit", kind="number", help="")
WHOLE = Feature(name="age", kind="integer", help="")
COUNTRY = Feature(name="country", kind="category", categories=("NA", "de", "Fr"), help="")
CODE = Feature(name="code", kind="category", categories=(0, 1, 2), help="")
SIZE = Feature(name="size", kind="category", categories=("1", "2", "XL"), help="")
DAY = Feature(name="day", kind="date", help="")
TIME = Feature(name="at", kind="datetime", help="")


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("50", ".", 50),
        (" 50.0 ", ".", 50.0),
        ("-.5", ".", -0.5),
        ("1e5", ".", 1e5),
        ("12,691.0", ".", 12691.0),
        ("12691,0", ",", 12691.0),
        ("12.691,05", ",", 12691.05),
        ("1 234 567,5", ",", 1234567.5),
        ("1\u202f234", ".", 1234),
        ("1'234.5", ".", 1234.5),
        ("12,34,567", ".", 1234567),
        ("$4,000", ".", 4000),
        ("-$4,000.50", ".", -4000.5),
        ("$-4", ".", -4),
        ("($4,000)", ".", -4000),
        ("4.000,50 €", ",", 4000.5),
        ("EUR 5", ".", 5),
        ("R$ 1.234,00", ",", 1234.0),
        ("\u22125", ".", -5),
        ("5-", ".", -5),
        ("9007199254740993", ".", 9007199254740993),
    ],
)
def test_numbers_as_people_write_them(text: str, decimal: str, number: float) -> None:
    assert parse_number(text, decimal) == number


@pytest.mark.parametrize(
    "text",
    ["", "forty", "1,5", "1,23,4", "0,123", "1.2.3", "10:30", "12%", "1_000", "0x10", "inf", "nan", "1e999", "5 kg",
     "--5", "\u0661", "2018-09-26", "1 2"],
)  # fmt: skip
def test_what_is_no_number_is_none(text: str) -> None:
    assert parse_number(text) is None


def test_what_may_be_two_numbers_is_none_where_the_table_does_not_show_which() -> None:
    assert [parse_number(text, "") for text in ("1,234", "1.234", "12,5", "7")] == [None, 1.234, None, 7]


def test_one_list_says_what_is_missing_and_a_declared_category_is_not() -> None:
    words = ["", " ", "NA", "n/a", "NaN", "NULL", "None", "?", "<NA>", "#N/A", None, float("nan")]
    for feature in (NUMBER, WHOLE, CODE, SIZE, DAY):
        assert to_values(words, feature) == [None] * len(words)
    assert to_values([*words, " NA "], COUNTRY) == [None, None, "NA", *[None] * 9, "NA"]
    assert {"", "na", "n/a", "nan", "null", "?"} <= MISSING
    assert not is_missing("no") and not is_missing(0)


@pytest.mark.parametrize(
    ("cell", "feature", "value"),
    [
        ("50", NUMBER, 50.0),
        ("50.0", WHOLE, 50),
        ("50.5", WHOLE, 50.5),
        (Decimal("12.50"), NUMBER, 12.5),
        (True, WHOLE, True),
        ("forty", WHOLE, "forty"),
        (" DE ", COUNTRY, "de"),
        ("fr", COUNTRY, "Fr"),
        ("uk", COUNTRY, "uk"),
        ("2.0", CODE, 2),
        (1.0, CODE, 1),
        ("x", CODE, "x"),
        ("1", SIZE, "1"),
        (1, SIZE, "1"),
        (2.0, SIZE, "2"),
        ("2.0", SIZE, "2"),
        ("2.5", SIZE, "2.5"),
        ("2018-09-26T10:00:00Z", DAY, "2018-09-26"),
        (date(2018, 9, 26), DAY, "2018-09-26"),
        ("26.9.2018", DAY, "2018-09-26"),
        ("26 Sep 2018", DAY, "2018-09-26"),
        ("sept 26, 2018", DAY, "2018-09-26"),
        ("1/9/2018", DAY, "1/9/2018"),
        ("31.2.2018", DAY, "31.2.2018"),
        (43369, DAY, 43369),
    ],
)
def test_a_cell_becomes_what_its_feature_is_or_stays_for_the_schema_to_refuse(
    cell: Any, feature: Feature, value: Any
) -> None:
    got = to_value(cell, feature)
    assert (got, type(got)) == (value, type(value))


def test_a_column_shows_the_order_of_its_days() -> None:
    assert to_values(["1/9/2018", "26/9/2018"], DAY) == ["2018-09-01", "2018-09-26"]
    assert to_values(["1/9/2018", "9/26/2018"], DAY) == ["2018-01-09", "2018-09-26"]
    assert to_values(["1/9/2018", "2/9/2018"], DAY) == ["1/9/2018", "2/9/2018"]
    assert to_values(["13/9/2018", "9/26/2018"], DAY) == ["13/9/2018", "9/26/2018"]


def test_one_cell_that_is_no_number_changes_no_other() -> None:
    assert to_values(["46", "forty", "1,234.5", None], NUMBER) == [46.0, "forty", 1234.5, None]


def test_a_column_that_does_not_show_its_decimal_mark_has_that_of_the_others() -> None:
    columns = {"limit": ["1,234", "5,678"], "age": ["46", "47"], "rate": ["0,5", "0,25"], "note": ["e.g.", "1.5"]}
    assert Notations(columns).decimal("limit") == ","
    assert Notations({**columns, "rate": ["0.5"]}).decimal("limit") == "."
    assert Notations({"limit": ["1,234"]}).decimal("limit") == "."
    assert Notations({"limit": ["1,234"]}, separator=";").decimal("limit") == ""
    assert Notations({"limit": ["1,234"], "age": ["46"]}, separator=";").of(WHOLE) == Notation(".", "")


@pytest.mark.parametrize(
    ("cell", "order", "time"),
    [
        ("2014-05-02T13:45:00", "", "2014-05-02T13:45:00"),
        (" 2014-05-02 13:45 ", "", "2014-05-02T13:45:00"),
        ("2014-05-02 9:05:07.250", "", "2014-05-02T09:05:07.25"),
        ("2014-05-02 09:05:07,5", "", "2014-05-02T09:05:07.5"),
        ("2014-05-02T13:45:00.123456789Z", "", "2014-05-02T13:45:00.123456789Z"),
        ("2014-05-02 13:45:00 UTC", "", "2014-05-02T13:45:00Z"),
        ("2014-05-02 13:45:00+02", "", "2014-05-02T13:45:00+02:00"),
        ("2014-05-02 13:45:00-0530", "", "2014-05-02T13:45:00-05:30"),
        ("2014/5/2 13:45", "", "2014-05-02T13:45:00"),
        ("2.5.2014 13:45", "", "2014-05-02T13:45:00"),
        ("5/2/2014 1:45 PM", "mdy", "2014-05-02T13:45:00"),
        ("2/5/2014 1:45:30 p.m.", "dmy", "2014-05-02T13:45:30"),
        ("5/2/2014, 12:05 AM", "mdy", "2014-05-02T00:05:00"),
        ("5/2/2014 12:05PM", "mdy", "2014-05-02T12:05:00"),
        ("2 May 2014 13:45", "", "2014-05-02T13:45:00"),
        ("May 2, 2014, 1:45 PM", "", "2014-05-02T13:45:00"),
        ("2014-05-02", "", "2014-05-02T00:00:00"),
        (datetime.fromisoformat("2014-05-02 13:45"), "", "2014-05-02T13:45:00"),
        (datetime(2014, 5, 2, 13, 45, tzinfo=UTC), "", "2014-05-02T13:45:00+00:00"),
        (date(2014, 5, 2), "", "2014-05-02T00:00:00"),
        ("NA", "", None),
    ],
)
def test_times_as_programs_and_people_write_them(cell: Any, order: str, time: str | None) -> None:
    assert to_value(cell, TIME, Notation(days=order)) == time
    if isinstance(cell, str) and time:
        assert to_value(cell, DAY, Notation(days=order)) == time[:10]


@pytest.mark.parametrize(
    "cell",
    ["5/2/2014 13:45", "2014-05-02 24:00", "2014-05-02 13:60", "2014-05-02 13:45:60", "2014-05-02 13:45 PM",
     "2014-05-02 0:30 AM", "2014-02-30 13:45", "13:45", "1399038300", 1399038300, "2014-05-02 13"],
)  # fmt: skip
def test_what_is_no_time_stays_for_the_schema_to_refuse(cell: Any) -> None:
    assert to_value(cell, TIME) == cell


def test_a_column_of_times_shows_the_order_of_its_days() -> None:
    assert to_values(["5/2/2014 1:45 PM", "5/13/2014 12:00 AM"], TIME) == ["2014-05-02T13:45:00", "2014-05-13T00:00:00"]
    assert to_values(["5/2/2014 13:45", "13/5/2014 9:00"], TIME) == ["2014-02-05T13:45:00", "2014-05-13T09:00:00"]
