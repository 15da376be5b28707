"""Days and times as tables write them, and the order of day and month that a column shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

# Blanks are taken once and for all (`++`), or a cell of many would take minutes.
_CLOCK = (
    r"(?P<clock>(?:T\s*+|,?\s++)(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"
    r"\s*+(?P<half>[AP]\.?M\.?)?\s*+(?P<zone>Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_YEAR_FIRST = re.compile(r"([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})" + _CLOCK, re.IGNORECASE)
_YEAR_LAST = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})" + _CLOCK, re.IGNORECASE)
_DAY_NAMED = re.compile(r"([0-9]{1,2})[- .]*([A-Za-z]{3,9})[-,. ]*([0-9]{4})" + _CLOCK, re.IGNORECASE)
_NAMED_DAY = re.compile(r"([A-Za-z]{3,9})[. ]+([0-9]{1,2})[, ]+([0-9]{4})" + _CLOCK, re.IGNORECASE)
_FORMS = (_YEAR_FIRST, _YEAR_LAST, _DAY_NAMED, _NAMED_DAY)
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip


def parse_day(text: str, order: str = "") -> str | None:
    """Return the day in `text` as YYYY-MM-DD; None if there is none, or if `order` would have to decide and is empty.

    2018-09-26, 2018/9/26, 26.9.2018, 26 Sep 2018 and September 26, 2018 need no order; 1/9/2018 is read by `order`,
    "dmy" or "mdy". A time of day is left out.
    """
    match = _match(text)
    return match and _day(match, order)


def parse_time(text: str, order: str = "") -> str | None:
    """Return the day and time in `text` as YYYY-MM-DDThh:mm:ss, with decimals and an offset where it has them.

    The day is read as `parse_day` reads it. A day alone is its midnight, because programs leave out the time where all
    are midnight. The time may be 13:45, 13:45:00.5 or 1:45 PM; 13:45 PM is none.
    """
    match = _match(text)
    day, clock = match and _day(match, order), match and _clock(match)
    return f"{day}T{clock}" if day and clock else None


def _match(text: str) -> re.Match[str] | None:
    stripped = text.strip()
    return next(filter(None, (form.fullmatch(stripped) for form in _FORMS)), None)


def _day(match: re.Match[str], order: str) -> str | None:
    if match.re is _YEAR_FIRST:
        return _iso(match[1], match[3], match[4])
    if match.re is _DAY_NAMED:
        return _iso(match[3], _month(match[2]), match[1])
    if match.re is _NAMED_DAY:
        return _iso(match[3], _month(match[1]), match[2])
    order = "dmy" if match[2] == "." else order
    if order == "dmy":
        return _iso(match[4], match[3], match[1])
    return _iso(match[4], match[1], match[3]) if order == "mdy" else None


def _clock(match: re.Match[str]) -> str | None:
    """Return the time of day as hh:mm:ss, with decimals and an offset where there are some; None if there is none."""
    if not match["clock"]:
        return "00:00:00"
    hour = int(match["hour"])
    if half := match["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half[0] in "Pp")
    if hour > 23 or int(match["minute"]) > 59 or int(match["second"] or 0) > 59:
        return None
    decimals = (match["fraction"] or "")[:9].rstrip("0")
    zone = (match["zone"] or "").upper().replace("UTC", "Z").replace("GMT", "Z")
    if zone[:1] in {"+", "-"}:
        digits = zone[1:].replace(":", "").ljust(4, "0")
        zone = f"{zone[0]}{digits[:2]}:{digits[2:]}"
    return f"{hour:02d}:{match['minute']}:{match['second'] or '00'}{'.' if decimals else ''}{decimals}{zone}"


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
