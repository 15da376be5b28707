"""Days and times in text that somebody else wrote."""

from __future__ import annotations

import time

import pytest

from scorehouse.tables.dates import parse_day, parse_time


@pytest.mark.parametrize("day", ["2018-01-01", "13/1/2018", "1 Jan 2018", "Jan 1, 2018"])
@pytest.mark.parametrize("clock", ["", "T", ",", " 10:00", " 10:00 AM"])
def test_a_day_with_many_blanks_behind_it_takes_no_time(day: str, clock: str) -> None:
    began = time.process_time()
    assert parse_time(f"{day}{clock}{' ' * 30_000}!", "dmy") is None
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    "text", ["2018-01-01T 10:05", "1 Jan 2018,  10:05", "1/1/2018 10:05  UTC", "2018-01-01 10:05 AM  Z"]
)
def test_blanks_around_a_time_are_none_of_it(text: str) -> None:
    assert parse_day(text, "dmy") == "2018-01-01"
    assert str(parse_time(text, "dmy")).startswith("2018-01-01T10:05:00")
