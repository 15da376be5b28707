"""From a checked record to what the model sees of it: the parts of its dates, and then what the page derives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any

from scorehouse.usecase import Feature, Record, as_it_is

Derive = Callable[[Record], Record]
_Read = Callable[[datetime], int]


def derivation(features: Iterable[Feature], derive: Derive) -> Derive:
    """Return the only function that training, doors and monitors call on a record, once the schema has checked it.

    It adds the parts of dates, each as `<name>_<part>`, and then calls `derive`, which sees them. The parts of a date
    that is null are None; those of an absent one are absent. Without parts it is `derive` itself.
    """
    dates = [(f.name, tuple(_readers(f))) for f in features if f.parts]
    if not dates:
        return derive
    parse = datetime.fromisoformat

    def add_parts(record: Record) -> Record:
        complete: dict[str, Any] = dict(record)
        for name, readers in dates:
            if name in record:
                text: Any = record[name]
                when = None if text is None else parse(text)
                for column, read in readers:
                    complete[column] = None if when is None else read(when)
        return complete

    return add_parts if derive is as_it_is else lambda record: derive(add_parts(record))


def _readers(feature: Feature) -> Iterable[tuple[str, _Read]]:
    for part, column in zip(feature.parts, feature.part_columns, strict=True):
        yield column.name, _READ[part]


_READ: Mapping[str, _Read] = {
    **{part: attrgetter(part) for part in ("year", "month", "day", "hour", "minute")},
    "weekday": datetime.weekday,  # Monday is 0
    "day_of_year": lambda when: when.timetuple().tm_yday,
}
