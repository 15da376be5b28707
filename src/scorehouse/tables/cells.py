"""What a cell of a table means for a feature: the one function of training, the batch and /invocations."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from scorehouse.tables.dates import day_orders, parse_day, parse_time
from scorehouse.usecase import Feature, Value

# What a text cell may say for a missing value, in any case: pandas' own list, and what people write besides.
MISSING = frozenset(
    {"", "na", "n/a", "<na>", "nan", "-nan", "null", "none", "?", "#n/a", "#n/a n/a", "#na", "1.#ind", "-1.#ind",
     "1.#qnan", "-1.#qnan", "\\n"}
)  # fmt: skip
_JUDGED = 1000  # cells of a column that show its decimal mark
_WITH_ZEROS = re.compile(r"-?[0-9]+\.0+")  # as programs write whole numbers of a column with gaps
_TWO_POINTS = re.compile(r"[0-9]\.[0-9]{3}\.[0-9]")
_EXACT = 2**53  # whole floats beyond may have been another number
_PLAIN = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# 1,234.5 or 1 234.5 or 1'234.5 or, as in India, 12,34,567.
_GROUPED = re.compile(
    r"([+-]?)([1-9][0-9]{0,2}(?:([,\s'\u2019])[0-9]{3})(?:\3[0-9]{3})*|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3})(\.[0-9]*)?"
)
_SWAPPED = str.maketrans(",.", ".,")
_MINUS = str.maketrans("\u2212\u2013", "--")  # minus and dash, as spreadsheets and typesetters write them
_CURRENCIES = re.compile(
    "usd|eur|gbp|jpy|cny|inr|chf|sek|nok|dkk|pln|czk|huf|brl|aud|cad|nzd|zar|mxn|krw|try|us\\$|r\\$|rs\\.?|kr\\.?|zł|kč|ft|fr\\.?",
    re.IGNORECASE,
)


class Notation(NamedTuple):
    """How the cells of a column are written.

    `decimal` is the mark before decimals, and empty where the table does not show whether 1,234 is 1234 or 1.234.
    `days` is the order of days whose year comes last: "dmy", "mdy", or empty where the table does not show it.
    """

    decimal: str = "."
    days: str = ""


PLAIN = Notation()


def is_missing(cell: Any, feature: Feature | None = None) -> bool:
    """Return whether a cell has no value: None, NaN, or a word of MISSING that the feature does not declare."""
    if isinstance(cell, str):
        stripped = cell.strip()
        return stripped.lower() in MISSING and (feature is None or stripped not in feature.categories)
    return cell is None or bool(cell != cell)  # noqa: PLR0124 - NaN and NaT


def parse_number(text: str, decimal: str = ".") -> int | float | None:
    """Return the number in `text`, with thousands separators and a currency sign if it has them.

    None if it is no number, is beyond floats, or may be two numbers because `decimal` is empty.
    """
    text = text.strip()
    if not decimal:
        number = parse_number(text, ".")
        return number if "," not in text or number == parse_number(text, ",") else None
    plain = text.translate(_SWAPPED) if decimal == "," else text
    if not _PLAIN.fullmatch(plain):
        plain = _bare(plain)
        if match := _GROUPED.fullmatch(plain):
            plain = match[1] + re.sub(r"\D", "", match[2]) + (match[4] or "")
        elif not _PLAIN.fullmatch(plain):
            return None
    if len(plain) < 20 and plain.lstrip("+-").isdigit():
        return int(plain)
    number = float(plain)
    return number if abs(number) < float("inf") else None


def to_value(cell: Any, feature: Feature, notation: Notation = PLAIN) -> Any:
    """Return the value of a cell for a feature. A cell that cannot be one stays as it is, for the schema to refuse."""
    if is_missing(cell, feature):
        return None
    kind: str = feature.kind
    if kind == "category":
        return _to_category(cell, feature, notation)
    if kind == "date":
        return _to_day(cell, notation)
    if kind == "datetime":
        return _to_time(cell, notation)
    if kind == "boolean":
        return _to_boolean(cell, notation)
    number = _to_number(cell, notation)
    if number is None:
        return cell.strip() if isinstance(cell, str) else cell
    if kind == "number":
        return float(number)
    return int(number) if isinstance(number, float) and number.is_integer() and abs(number) <= _EXACT else number


def to_values(cells: Sequence[Any], feature: Feature, notation: Notation | None = None) -> list[Value]:
    """Return the value of each cell of a column. Without a `notation` it is the one that the cells show."""
    if notation is None:
        text = [cell for cell in cells if isinstance(cell, str)]
        notation = Notations({feature.name: text}).of(feature)
    if (plain := _plain_numbers(cells, feature, notation)) is not None:
        return plain
    known: dict[Any, Any] = {}
    values = []
    for cell in cells:
        key = (type(cell), cell)
        try:
            value = known[key]
        except KeyError:
            value = known[key] = to_value(cell, feature, notation)
        except TypeError:  # a cell that is a list
            value = cell
        values.append(value)
    return values


def _plain_numbers(cells: Sequence[Any], feature: Feature, notation: Notation) -> list[Any] | None:
    """Return the values of a column of text that has only plain numbers, the usual case, in a tenth of the time."""
    if feature.kind not in {"number", "integer"} or notation.decimal == ",":
        return None
    try:
        if "".join(cells).encode().translate(None, b"0123456789+-.eE"):
            return None
        numbers = list(map(float, cells))
    except (TypeError, ValueError):  # a cell that is no text, a gap, or `1-2`
        return None
    if not all(-_EXACT <= n <= _EXACT for n in numbers):
        return None
    if feature.kind == "number":
        return numbers
    return [int(n) if n.is_integer() else n for n in numbers]


class Notations:
    """How the columns of one table are written, judged by its first rows.

    A column that does not show its decimal mark has that of the others. If none shows it, a comma groups thousands,
    except where semicolons separate the columns: programs write those where the comma is the decimal mark, so that
    1,234 may be either.
    """

    def __init__(self, columns: Mapping[str, Sequence[str]], separator: str = ","):
        """`columns` are the first text cells of each column, by name."""
        self._columns = columns
        self._separator = separator
        self._marks: dict[str, str] | None = None
        self._of_others = "."

    def of(self, feature: Feature, column: str | None = None) -> Notation:
        """Return the notation of the column from which the feature comes, by default the one that has its name."""
        name = feature.name if column is None else column
        cells = self._columns.get(name, ())
        return Notation(self.decimal(name), day_orders(cells) if feature.is_time else "")

    def decimal(self, name: str) -> str:
        """Return the decimal mark of a column: a point, a comma, or empty if it may be either."""
        if self._marks is None:
            self._marks = self._find_marks()
        return self._marks.get(name, ".")

    @property
    def decimal_of_others(self) -> str:
        """The decimal mark of a column that shows none."""
        self.decimal("")
        return self._of_others

    def _find_marks(self) -> dict[str, str]:
        if not any(map(_has_comma, self._columns.values())):
            return {}
        marks = {name: find_mark(cells) for name, cells in self._columns.items()}
        shown = set(marks.values()) & {".", ","}
        others = "," if shown == {","} else "." if shown or self._separator != ";" else ""
        self._of_others = others
        return {name: others if mark == "either" else mark for name, mark in marks.items() if mark}


def find_mark(cells: Sequence[str]) -> str:
    """Return the decimal mark that a column shows: a point, a comma, `either`, or empty if it has no numbers with one.

    A column has numbers if more than half of its cells are.
    """
    points = commas = others = 0
    for cell in cells[:_JUDGED]:
        if "," in cell or "." in cell:
            point, comma = parse_number(cell, "."), parse_number(cell, ",")
            points += point is not None
            commas += comma is not None
            others += point is None and comma is None
        elif not is_missing(cell):
            others += parse_number(cell) is None
    if others >= max(points, commas):
        return ""
    if points == commas:
        return "either"
    return "." if points > commas else ","


def _has_comma(cells: Sequence[str]) -> bool:
    """Return whether a column may have decimal commas: a number has a comma, or two points that group thousands."""
    joined = "\n".join(cells)
    return "," in joined or _TWO_POINTS.search(joined) is not None


def _bare(text: str) -> str:
    """Remove a currency sign and what may surround it; `(5)` and `5-` are how accountants write -5."""
    text = text.translate(_MINUS)
    if text.startswith("(") and text.endswith(")"):
        text = "-" + text[1:-1].strip()
    elif text.endswith("-") and not text.startswith("-"):
        text = "-" + text[:-1].strip()
    sign = text[:1] if text[:1] in {"+", "-"} else ""
    text = _without_currency(text[len(sign) :].strip())
    if not sign and text[:1] in {"+", "-"}:
        sign, text = text[:1], text[1:].strip()
    return sign + text


def _without_currency(text: str) -> str:
    """Return the text without one currency sign or word, before or after it."""
    if text and unicodedata.category(text[0]) == "Sc":
        return text[1:].strip()
    if text and unicodedata.category(text[-1]) == "Sc":
        return text[:-1].strip()
    first = re.match(r"\D*", text)
    last = re.search(r"[^0-9.,]*$", text)
    for match in (first, last):
        if match and _CURRENCIES.fullmatch(match[0].strip()):
            return (text[: match.start()] + text[match.end() :]).strip()
    return text


def _to_number(cell: Any, notation: Notation) -> int | float | None:
    if isinstance(cell, str):
        return parse_number(cell, notation.decimal)
    if isinstance(cell, bool) or not isinstance(cell, int | float | Decimal):
        return None
    if isinstance(cell, Decimal):
        return int(cell) if cell == cell.to_integral_value() else float(cell)
    return cell


def _to_category(cell: Any, feature: Feature, notation: Notation) -> Any:
    if feature.is_learnt:
        return _to_level(cell)
    if isinstance(cell, bool):
        return _level(str(cell), feature) or cell
    if isinstance(cell, str) and (level := _level(cell, feature)) is not None:
        return level
    number = _to_number(cell, notation)
    whole = number is not None and float(number).is_integer()
    if (
        whole
        and (not isinstance(cell, str) or _WITH_ZEROS.fullmatch(cell.strip()))
        and (level := _level(str(int(number or 0)), feature)) is not None
    ):
        return level
    if whole and any(isinstance(c, int) for c in feature.categories):
        return int(number or 0)
    return cell.strip() if isinstance(cell, str) else cell


def _to_level(cell: Any) -> Any:
    """Return a level that no page declares, as text: a whole number without the zeros that a column with gaps has."""
    if isinstance(cell, str):
        text = cell.strip()
        return text.partition(".")[0] if _WITH_ZEROS.fullmatch(text) else text
    if isinstance(cell, int | float | Decimal):
        return str(int(cell)) if not isinstance(cell, bool) and float(cell).is_integer() else str(cell)
    return cell


def _level(text: str, feature: Feature) -> str | None:
    """Return the declared category that a text means: itself, or the only one but for blanks around and case."""
    if text in feature.categories:
        return text
    return _levels(feature.categories).get(text.strip().casefold())


@lru_cache(maxsize=256)
def _levels(categories: tuple[Any, ...]) -> dict[str, str]:
    folded = [(c.strip().casefold(), c) for c in categories if isinstance(c, str)]
    return {fold: c for fold, c in folded if sum(other == fold for other, _ in folded) == 1}


def _to_day(cell: Any, notation: Notation) -> Any:
    if isinstance(cell, datetime | date):
        return cell.isoformat()[:10]
    if isinstance(cell, str):
        return parse_day(cell, notation.days) or cell.strip()
    return cell


def _to_time(cell: Any, notation: Notation) -> Any:
    if isinstance(cell, datetime | date):
        return parse_time(cell.isoformat())
    if isinstance(cell, str):
        return parse_time(cell, notation.days) or cell.strip()
    return cell


_WORDS = {"true": True, "yes": True, "t": True, "y": True, "1": True} | {
    "false": False, "no": False, "f": False, "n": False, "0": False,
}  # fmt: skip


def _to_boolean(cell: Any, notation: Notation) -> Any:
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, str) and cell.strip().lower() in _WORDS:
        return _WORDS[cell.strip().lower()]
    number = _to_number(cell, notation)
    if number in {0, 1}:
        return bool(number)
    return cell.strip() if isinstance(cell, str) else cell
