"""What a column of a table is: a number, a category, a boolean, a date, or nothing that a model can use."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from model_orchestration.tables.faults import write
from scorehouse.scoring.schema import ID_FIELDS
from scorehouse.tables.cells import is_missing, parse_number
from scorehouse.tables.dates import day_orders, parse_day, parse_time
from scorehouse.tables.frames import Frame
from scorehouse.usecase import Feature, Kind, Part

MOST_CATEGORIES = 100  # of a declared category; the levels of others are learnt
LEAST_DISTINCT = 20  # rows from which values that all differ identify the row
_DIFFERENT = 0.5  # text of which more cells differ is free text or an identifier
_MOST_MARKS = 3  # words beside the numbers of a column
_LEAST_NUMBERS = 10  # different ones: of fewer, the words are as likely to be classes
_LEAST_LEARNT = 500  # rows that have a level: with fewer, each fold reads the levels in another way
_REPEATED = 0.3  # share of the rows with a level that others have, from which levels can be learnt
_WORDS = 3.0  # words of a cell, on average, from which text is free
_EXACT_PLACES, _MOST_PLACES = 15, 38  # of a whole number that a float holds exactly, and of the largest of a model
_IDENTIFIER = re.compile(
    r"(?:^|[^a-z])(?:ids?|uuid|guid|number|no|nr|num|index|idx|row|serial|unnamed.*)(?:$|[^a-z])", re.IGNORECASE
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_YEAR = re.compile(r"(?:^|[^a-z])(?:year|yr|yyyy)(?:$|[^a-z])", re.IGNORECASE)
_MIDNIGHT = re.compile(r"^[^:]*$|[T ]0?0:00(:00(\.0+)?)?\s*(Z|UTC|[+-][0-9:]+)?$")  # no time of day
_AGE = re.compile(r"(?:^|[^a-z])age(?:$|[^a-z])", re.IGNORECASE)
_YES = frozenset({"true", "yes", "t", "y"})
_NO = frozenset({"false", "no", "f", "n"})
TRUTHS = {**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)}  # as every table is read


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A raw column: its feature, or the reason why it has none, and what was only guessed about it."""

    name: str
    missing: int
    distinct: int
    shown: str  # its range or its most frequent values, as people read them
    feature: Feature | None = None
    left_out: str = ""  # why it is no feature, with the evidence
    guesses: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()  # words among numbers that are taken as missing values
    warning: str = ""  # why a person should look at a feature before trusting the model
    values: pd.Series[Any] = field(repr=False, compare=False)  # as the reader gives it

    @property
    def role(self) -> str:
        """What it is used as, in a word or two: the kind of its feature, `target`, `key` or `left out`."""
        if self.feature is not None:
            return self.feature.kind
        word = self.left_out.partition(":")[0]
        return word if word in {"target", "key", "time"} else "left out"

    @property
    def remarks(self) -> str:
        """What was guessed about it, or why it is left out."""
        if self.feature is not None:
            return "; ".join(self.guesses)
        return self.left_out if self.role == "left out" else self.left_out.partition(": ")[2]


def inspect_column(frame: Frame, name: str) -> Column:
    """Return what the column `name` of a table is, judged by itself: not whether it contains the answer."""
    values = frame.table[name]
    if marks := _marks(frame, name):
        decimal = frame.decimal(name)
        numbers = values.map(lambda cell: np.nan if cell is None or cell in marks else parse_number(cell, decimal))
        column = _inspect(name, numbers.astype(np.float64))
        known = " and ".join(map(repr, marks))
        guess = f"{known} in {values.isin(marks).sum():,} rows counts as missing"
        return replace(column, marks=marks, guesses=(*column.guesses, guess))
    return _inspect(name, values)


def _inspect(name: str, values: pd.Series[Any]) -> Column:
    present = values[[not is_missing(value) for value in values]]
    levels = present.value_counts()
    facts: dict[str, Any] = {
        "name": name,
        "missing": len(values) - len(present),
        "distinct": len(levels),
        "shown": _describe(present, levels),
        "values": values,
    }
    if why := _useless(present, levels, facts["missing"]):
        return Column(**facts, left_out=why)
    feature, guesses, why = _kind_of(name, values, present, levels)
    return Column(**facts, feature=feature, guesses=tuple(guesses), left_out=why)


def _marks(frame: Frame, name: str) -> tuple[str, ...]:
    """Return the few words that stand among the numbers of a column, as `nil` or `-` do for a missing value."""
    values = frame.table[name]
    if values.dtype != object:
        return ()
    decimal, numbers = None, 0
    marks: list[str] = []
    levels = values.value_counts()
    for cell in levels.index:
        if not isinstance(cell, str):
            return ()
        decimal = frame.decimal(name) if decimal is None else decimal
        if is_missing(cell) or parse_number(cell, decimal) is not None:
            numbers += 1
        elif len(marks) == _MOST_MARKS:
            return ()
        else:
            marks.append(cell)
    is_few = levels[marks].sum() <= _DIFFERENT * levels.sum()
    return tuple(marks) if marks and is_few and numbers >= _LEAST_NUMBERS else ()


def field_name(column: str) -> str:
    """Return the name of a column's field: the column's own, but for a name that every record has already."""
    name = column.strip()
    return f"{name}_" if name in ID_FIELDS else name


def _useless(present: pd.Series[Any], levels: pd.Series[int], missing: int) -> str:
    if present.empty:
        return "empty: no row has a value"
    if len(levels) == 1 and not missing:
        return f"constant: every row has {write(levels.index[0])}"
    return ""


def _kind_of(
    name: str, values: pd.Series[Any], present: pd.Series[Any], levels: pd.Series[int]
) -> tuple[Feature | None, list[str], str]:
    """Return the feature of a column that has several values, what was guessed, and why it is none."""
    if pd.api.types.is_numeric_dtype(values) or all(isinstance(v, int | float) for v in levels.index):
        return _number(name, present, levels)
    text = present.astype(str).str.strip()
    words = {level.casefold() for level in text.unique()}
    if words <= set(TRUTHS) and (len(words) > 1 or values.dtype == bool):
        return _feature(name, values, "boolean"), [], ""
    if (days := _days(text)) is not None:
        return _day(name, days)
    return _text(name, text)


def _number(name: str, present: pd.Series[Any], levels: pd.Series[int]) -> tuple[Feature | None, list[str], str]:
    numbers = present.astype(float)
    whole = bool((numbers % 1 == 0).all())
    if whole and (why := _identifies(name, numbers, len(levels))):
        return None, [], why
    if whole and set(numbers.unique()) == {0.0, 1.0}:
        return _feature(name, present, "boolean"), ["0 and 1 are taken as false and true"], ""
    low, high, guess = _bounds(name, float(numbers.min()), float(numbers.max()), whole)
    kind: Kind = "integer" if whole else "number"
    return _feature(name, present, kind, low=low, high=high), [guess], ""


def _identifies(name: str, numbers: pd.Series[Any], distinct: int) -> str:
    """Return why a column of whole numbers identifies its rows; empty if it does not."""
    if distinct < len(numbers) or distinct < LEAST_DISTINCT:
        return ""
    if numbers.max() - numbers.min() + 1 == distinct:
        return f"identifier: all {distinct:,} values differ, and they count the rows"
    if looks_like_an_id(name):
        return f"identifier: all {distinct:,} values differ, and its name says so"
    return ""


def looks_like_an_id(name: str) -> bool:
    """Return whether a column is named like an identifier."""
    return _IDENTIFIER.search(_CAMEL.sub(" ", name)) is not None


def _bounds(name: str, low: float, high: float, whole: bool) -> tuple[float, float, str]:
    """Return plausible physical limits of a number: they must be wider than what one table happens to hold."""
    words = _CAMEL.sub(" ", name)
    places = math.ceil(math.log10(max(abs(low), abs(high), 1))) + 1
    widest = 10**places if places <= _EXACT_PLACES else float(f"1e{min(places, _MOST_PLACES)}")
    limits, why = (0 if low >= 0 else -widest, widest), ""
    if whole and _YEAR.search(words) and low >= 1500 and high <= 2100:
        limits, why = (1500, 2200), ", as a year"
    elif _AGE.search(words) and low >= 0 and high <= 120:
        limits, why = (0, 130), ", as an age"
    elif not whole and low >= 0 and 0.5 < high <= 1:
        limits, why = (0, 1), ", as a share"
    return *limits, f"limits {_number_as_read(limits[0])} to {_number_as_read(limits[1])}{why}"


def _text(name: str, text: pd.Series[str]) -> tuple[Feature | None, list[str], str]:
    levels = text.value_counts()
    distinct, count = len(levels), len(text)
    of = f"{distinct:,} different values in {count:,} rows"
    if distinct == count and count >= LEAST_DISTINCT and text.str.contains(r"\d").mean() > 0.5:
        return None, [], f"identifier: {of}"
    words = float(np.mean([len(cell.split()) for cell in text]))
    repeated = levels[levels > 1].sum() / count
    learnable = distinct > MOST_CATEGORIES and repeated >= _REPEATED and words < _WORDS and count >= _LEAST_LEARNT
    if distinct > MOST_CATEGORIES // 4 and distinct > _DIFFERENT * count and not learnable:
        return None, [], f"{'free text' if words >= _WORDS else 'identifier'}: {of}"
    if distinct > LEAST_DISTINCT and words >= 2 * _WORDS:
        return None, [], f"free text: {words:.0f} words in a cell, {of}"
    if distinct <= MOST_CATEGORIES:
        return _feature(name, text, "category", categories=tuple(sorted(levels.index, key=str))), [], ""
    guess = f"training learns what its {distinct:,} values say about the target; other values count as missing"
    return _feature(name, text, "category", levels="learnt"), [guess], ""


def _days(text: pd.Series[str]) -> pd.Series[Any] | None:
    """Return the day or time of each different cell, or None if some cell is neither."""
    cells = text.unique()
    order = day_orders(cells) or "mdy"
    days = []
    for cell in cells:
        day = parse_time(cell, order) if any(c.isdigit() for c in cell) else None
        if day is None:
            return None
        days.append(day[:10])
    return pd.to_datetime(pd.Series(days, index=cells))


def _day(name: str, days: pd.Series[Any]) -> tuple[Feature | None, list[str], str]:
    order = day_orders(days.index)
    if ambiguous := next((cell for cell in days.index if parse_day(cell, order) is None), None):
        return (
            None,
            [],
            f"date: no cell shows whether {ambiguous!r} begins with the day or the month: write days as 2018-09-26",
        )
    kind: Kind = "datetime" if any(not _MIDNIGHT.search(cell) for cell in days.index) else "date"
    parts: list[Part] = ["year"] if days.dt.year.nunique() > 1 else []
    parts += ["month"] if days.dt.month.nunique() > 1 else []
    parts += ["weekday"] if days.dt.dayofweek.nunique() > 1 else []
    parts += ["hour"] if kind == "datetime" else []
    if not parts:
        return None, [], "date: all rows are of one day of the week in one month"
    guess = f"the model sees its {', '.join(parts)}"
    low, high = int(days.dt.year.min()) // 100 * 100, int(days.dt.year.max()) // 100 * 100 + 99
    example = str(days.min().date()) + ("T12:00:00" if kind == "datetime" else "")
    low, high = min(low, 1900), max(high, 2099)
    feature = Feature(
        name=field_name(name), kind=kind, help=_words(name), low=low, high=high, parts=tuple(parts), example=example
    )
    return feature, [guess], ""


def _feature(name: str, present: pd.Series[Any], kind: Kind, **more: Any) -> Feature:
    """Return a feature whose example is the most frequent value of a category, and the middle one of numbers."""
    values = present[[not is_missing(value) for value in present]]
    if kind == "boolean":
        example: Any = bool(TRUTHS.get(str(values.mode().iloc[0]).casefold(), values.mode().iloc[0]))
    elif kind == "category":
        known = values[values.isin(more["categories"])] if "categories" in more else values
        example = str(known.mode().iloc[0])
    else:
        middle = np.sort(values.astype(float).to_numpy())[len(values) // 2]
        example = int(middle) if kind == "integer" else float(middle)
    return Feature(name=field_name(name), kind=kind, help=_words(name), example=example, **more)


def _words(name: str) -> str:
    """Return a column's name as people read it: `Work_Experience` as `Work experience`."""
    words = _CAMEL.sub(" ", name.strip()).replace("_", " ").replace(".", " ").split()
    return " ".join([words[0][:1].upper() + words[0][1:], *(w if w.isupper() else w.lower() for w in words[1:])])


def _describe(present: pd.Series[Any], levels: pd.Series[int]) -> str:
    if present.empty:
        return ""
    if pd.api.types.is_numeric_dtype(present) and present.dtype != bool and len(levels) > 2:
        return f"{_number_as_read(present.min())} to {_number_as_read(present.max())}"
    shares = {value: count / len(present) for value, count in levels.head(4).items()}
    if len(levels) > 4 and levels.iloc[0] < 0.01 * len(present):
        return ", ".join(map(_short, levels.index[:3])) + ", …"
    most = ", ".join(f"{_short(value)} {percent(share)}" for value, share in shares.items())
    return most + (", …" if len(levels) > 4 else "")


def percent(share: float) -> str:
    """Return a share as people read it: a few of many are not 0 %, and nearly all are not 100 %."""
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"


def _number_as_read(number: float) -> str:
    """Return a number with few digits, and thousands apart from 10,000 on: 2014 may be a year."""
    if abs(number) < 10_000:
        return f"{number:.6g}"
    return f"{number:,.0f}" if abs(number) < 10**_EXACT_PLACES else f"{number:.3g}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:23] + "…"
