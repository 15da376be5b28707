"""What is wrong with a schedule. Prefect, which runs it, is not in every image; a test compares both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from zoneinfo import ZoneInfo, available_timezones

from scorehouse.scoring.nearest import KnownNames
from scorehouse.usecase import Schedule

EXAMPLE = "'0 6 2 * *' (06:00 on the 2nd of each month)"
BOUNDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
NAMES = {
    "month": {name: number for number, name in enumerate(MONTHS, 1)},
    "weekday": {name: number for number, name in enumerate(WEEKDAYS)},
}
_PART = re.compile(r"(?:\*|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:/([0-9]+))?")


def schedule_faults(schedule: Schedule) -> Iterator[str]:
    """Yield what is wrong with the times and the time zone."""
    for name, cron in (("train", schedule.train), ("score", schedule.score)):
        if cron and (fault := cron_fault(cron)):
            yield f"schedule: {name}={cron!r} is not cron, such as {EXAMPLE}: {fault}"
    if not _is_timezone(schedule.timezone) and (zones := available_timezones()):  # reading all of them takes a while
        meant = KnownNames(zones).suggest(schedule.timezone) or ", such as 'Europe/Berlin'"
        yield f"schedule: timezone={schedule.timezone!r} is not known{meant}"


def cron_fault(cron: str) -> str | None:
    """Return what is wrong with a cron expression of five fields, or None."""
    fields = cron.lower().split()
    if len(fields) != len(BOUNDS):
        return f"it has {len(fields)} field{'s' if len(fields) != 1 else ''}, not 5"
    faults = (
        _part_fault(part, unit, least, most)
        for field, (unit, least, most) in zip(fields, BOUNDS, strict=True)
        for part in field.split(",")
    )
    return next(filter(None, faults), None)


def _part_fault(part: str, unit: str, least: int, most: int) -> str | None:
    found = _PART.fullmatch(part)
    if not found:
        return f"the {unit} {part!r} cannot be read"
    names = NAMES.get(unit, {})
    ends = [names.get(text, int(text) if text.isdecimal() else -1) for text in found.group(1, 2) if text]
    if not all(least <= end <= most for end in ends):
        return f"the {unit} {part!r} is not from {least} to {most}"
    if found[3] and int(found[3]) == 0:
        return f"the {unit} {part!r} has steps of 0"
    return None


def _is_timezone(name: str) -> bool:
    try:
        return bool(ZoneInfo(name))
    except (ValueError, OSError, KeyError):
        return False
