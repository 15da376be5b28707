"""Days as tables write them, and the order of day and month that a column shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

_CLOCK = r"(?:[T ]\s*[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?\s*(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2}|[AP]M)?)?"
_YEAR_FIRST = re.compile(r"([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})" + _CLOCK, re.IGNORECASE)
_YEAR_LAST = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})" + _CLOCK, re.IGNORECASE)
_DAY_NAMED = re.compile(r"([0-9]{1,2})[- .]*([A-Za-z]{3,9})[-,. ]*([0-9]{4})" + _CLOCK, re.IGNORECASE)
_NAMED_DAY = re.compile(r"([A-Za-z]{3,9})[. ]+([0-9]{1,2})[, ]+([0-9]{4})" + _CLOCK, re.IGNORECASE)
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip


def parse_day(text: str, order: str = "") -> str | None:
    """Return the day in `text` as YYYY-MM-DD; None if there is none, or if `order` would have to decide and is empty.

    2018-09-26, 2018/9/26, 26.9.2018, 26 Sep 2018 and September 26, 2018 need no order; 1/9/2018 is read by `order`,
    "dmy" or "mdy". A time of day is left out.
    """
    text = text.strip()
    if match := _YEAR_FIRST.fullmatch(text):
        return _iso(match[1], match[3], match[4])
    if match := _YEAR_LAST.fullmatch(text):
        order = "dmy" if match[2] == "." else order
        if order == "dmy":
            return _iso(match[4], match[3], match[1])
        return _iso(match[4], match[1], match[3]) if order == "mdy" else None
    if match := _DAY_NAMED.fullmatch(text):
        return _iso(match[3], _month(match[2]), match[1])
    if match := _NAMED_DAY.fullmatch(text):
        return _iso(match[3], _month(match[1]), match[2])
    return None


def day_orders(cells: Iterable[str]) -> str:
    """Return the order that a column of days shows: "dmy" if a first number is beyond 12, "mdy" if a second one is."""
    first = second = 0
    for cell in cells:
        if match := _YEAR_LAST.fullmatch(cell.strip()):
            first, second = max(first, int(match[1])), max(second, int(match[3]))
    if first > 12 >= second:
        return "dmy"
    return "mdy" if second > 12 >= first else ""


def _iso(year: str, month: str, day: str) -> str | None:
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None


def _month(name: str) -> str:
    """Return the number of an English month by its first letters, "0" for anything else."""
    short = name.lower().removesuffix("t") if name.lower() == "sept" else name.lower()
    known = [i for i, month in enumerate(_MONTHS, 1) if month.startswith(short)]
    return str(known[0] if known else 0)
