"""Random tables, each with what it means, written in the dialects that programs and people write."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from backports import zstd

from scorehouse.usecase import Feature

FEATURES = (
    Feature(name="age", kind="integer", help=""),
    Feature(name="credit_limit", kind="number", help=""),
    Feature(name="kind", kind="category", categories=("blue", "two words", "NA", "café"), help=""),
    Feature(name="code", kind="category", categories=(0, 1, 2, 3), help=""),
    Feature(name="size", kind="category", categories=("1", "2", "XL"), help=""),
    Feature(name="day", kind="date", help=""),
    Feature(name="at", kind="datetime", help="", parts=("weekday", "hour")),
)
NOTES = ("", "a", "00123", "customer, of \"us\"", "semi;colon", "tab\there", "line\nbreak", "it's", "nan", "NA", "é",
         "€ 5", "1,5", "back\\slash", "trailing\\", "'single'", "#1", " padded ", "100%", "null")  # fmt: skip
DAYS = ("%Y-%m-%d", "%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d 00:00:00", "%d %b %Y")
TIMES = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S.000", "%Y/%m/%d %H:%M", "%d.%m.%Y %H:%M",
         "%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M:%S %p", "%d %b %Y %H:%M",
         "%b %d, %Y %I:%M %p")  # fmt: skip
GAPS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?", "None", "<NA>", "#N/A", " ", "n/a")


def _zip(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("table.csv", content)
    return file.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd.compress,
    "zip": _zip, "zip of gzip": lambda content: _zip(gzip.compress(content)),
}  # fmt: skip


@dataclass(frozen=True)
class RandomTable:
    """Records as they are meant, (n,), the cells of a column that is no feature, and where rows are empty."""

    records: list[dict[str, Any]]
    notes: list[str]
    blank_after: tuple[int, ...]


def draw_table(random: Random) -> RandomTable:
    """Return a table of 1 to 12 rows."""
    rows = random.choice((1, 1, 2, 3, 5, 12))
    gaps = random.choice((0, 0, 0.1, 0.5, 1))
    thousands = random.random() < 0.1  # only numbers such as 1,234, which may be either number
    draws: dict[str, Callable[[], Any]] = {
        "age": lambda: random.choice((random.randint(-5, 120), random.randint(1000, 9_999_999))),
        "credit_limit": lambda: float(random.randint(1000, 999_999)) if thousands else random.choice(
            (round(random.uniform(-10, 10), 2), round(random.uniform(1000, 9e6), 2), float(random.randint(0, 99999)),
             round(random.uniform(0, 1), 3))
        ),
        "kind": lambda: random.choice(FEATURES[2].categories),
        "code": lambda: random.randint(0, 3),
        "size": lambda: random.choice(FEATURES[4].categories),
        "day": lambda: str(date(1950, 1, 1) + timedelta(days=random.randint(0, 30_000))),
        "at": lambda: f"{draws['day']()}T{random.randint(0, 23):02d}:{random.randint(0, 59):02d}:00",
    }  # fmt: skip
    records = [{name: None if random.random() < gaps else draw() for name, draw in draws.items()} for _ in range(rows)]
    notes = [random.choice(NOTES) for _ in range(rows)]
    blank = tuple(sorted(random.sample(range(rows + 1), random.choice((0, 0, 0, 1)))))
    return RandomTable(records, notes, blank)


@dataclass(frozen=True)
class Dialect:
    """How a table is written as text."""

    encoding: str
    separator: str
    quoting: int
    quote: str
    doubled: bool
    line: str
    comma: bool
    group: str
    sign: str
    gap: str
    days: str
    times: str
    padded: bool
    packer: str
    said: bool  # Excel's first line, sep=;
    whole: bool  # 1234 for 1234.0
    zeros: bool  # 1.0 for a category 1, as programs write whole numbers of a column with gaps


def draw_dialect(random: Random) -> Dialect:
    """Return a dialect that can be told from the file alone, or nearly."""
    comma = random.random() < 0.3
    separator = random.choice(";\t|" if comma and random.random() < 0.8 else ",;\t|")
    grouped = random.choice(("", "", "", "" if comma else ",", ".", " ", "\xa0", "'")) if random.random() < 0.5 else ""
    quote = random.choice('"""\'')  # single quotes are only found if the header has them
    quotings = [csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, *([] if quote == "'" else 2 * [csv.QUOTE_MINIMAL])]
    encoding = random.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252", "utf-32"))
    return Dialect(
        encoding=encoding,
        separator=separator,
        quoting=random.choice(quotings),
        quote=quote,
        doubled=random.random() < 0.8,
        line=random.choice(("\n", "\n", "\r\n", "\r")),
        comma=comma,
        group="" if grouped == "." and not comma else grouped,
        sign=random.choice(("", "", "", "$", "USD ", *(() if encoding == "latin-1" else ("€ ", " €")))),
        gap=random.choice(GAPS),
        days=random.choice(DAYS),
        times=random.choice(TIMES),
        padded=random.random() < 0.2,
        packer=random.choice(("", "", "", *PACKERS)),
        said=random.random() < 0.05,
        whole=random.random() < 0.3,
        zeros=random.random() < 0.2 and not comma,
    )


def is_clear(table: RandomTable, dialect: Dialect) -> bool:
    """Return whether the text shows its decimal mark and the order of its days."""
    numbers = [r["credit_limit"] for r in table.records if r["credit_limit"] is not None]
    for name, written in (("day", dialect.days), ("at", dialect.times)):
        days = [date.fromisoformat(r[name][:10]) for r in table.records if r[name]]
        if written.startswith(("%d/%m", "%m/%d")) and days and all(d.day <= 12 for d in days):
            return False
    if dialect.comma or dialect.group in {",", "."}:
        texts = [write_number(n, dialect) for n in numbers]
        places = [t.rpartition("," if dialect.comma else ".")[2] for t in texts if ("," if dialect.comma else ".") in t]
        return any(len("".join(c for c in p if c.isdigit())) != 3 for p in places)
    return not (dialect.separator == ";" and dialect.group)


def carried(note: str, dialect: Dialect) -> str:
    """Return a note as the dialect can write it so that it can be told from the file."""
    if dialect.line == "\r":
        note = note.replace("\n", " ")  # Python 3.11 writes no quotes around it
    return note if dialect.doubled else note.replace("\\", "/")


def write_number(number: float, dialect: Dialect) -> str:
    """Return a number as the dialect writes it."""
    if dialect.whole and number.is_integer():
        number = int(number)
    text = f"{number:,}" if dialect.group else repr(number)
    text = text.translate(str.maketrans({",": dialect.group or ",", ".": "," if dialect.comma else "."}))
    sign = dialect.sign
    if not sign:
        return text
    return (
        f"{text}{sign}" if sign.startswith(" ") else f"-{sign}{text[1:]}" if text.startswith("-") else f"{sign}{text}"
    )


def write_text(table: RandomTable, dialect: Dialect) -> bytes:
    """Return the table as CSV. What an encoding lacks is left out of the notes."""
    rows = []
    for record, note in zip(table.records, table.notes, strict=True):
        cells = []
        for feature in FEATURES:
            value = record[feature.name]
            if value is None:
                cell = "" if feature.name == "kind" and dialect.gap == "NA" else dialect.gap
            elif feature.name == "credit_limit":
                cell = write_number(value, dialect)
            elif feature.name == "day":
                cell = date.fromisoformat(value).strftime(dialect.days)
            elif dialect.zeros and feature.name in {"code", "size"} and str(value).isdigit():
                cell = f"{value}.0"
            elif feature.name == "at":
                cell = datetime.fromisoformat(value).strftime(dialect.times)
            else:
                cell = str(value)
            cells.append(f" {cell} " if dialect.padded and cell.strip() else cell)
        rows.append([*cells, carried(note, dialect)])
    for at in reversed(table.blank_after):
        rows.insert(at, [""] * (len(FEATURES) + 1))
    file = io.StringIO()
    escape = {"doublequote": dialect.doubled, "escapechar": None if dialect.doubled else "\\"}
    writer = csv.writer(
        file, delimiter=dialect.separator, quotechar=dialect.quote, quoting=dialect.quoting,
        lineterminator=dialect.line, **escape,
    )  # fmt: skip
    writer.writerow([*(f.name for f in FEATURES), "customer, id"])
    writer.writerows(rows)
    text = (f"sep={dialect.separator}{dialect.line}" if dialect.said else "") + file.getvalue()
    return PACKERS[dialect.packer](text.encode(dialect.encoding, "replace"))


def write_parquet(table: RandomTable, random: Random) -> bytes:
    """Return the table as Parquet, with the types of other programs."""
    types: dict[str, tuple[Any, ...]] = {
        "age": (pa.int64(), pa.float64(), pa.decimal128(12, 0), pa.string(), pa.int32()),
        "credit_limit": (pa.float64(), pa.decimal128(14, 3), pa.string()),
        "kind": (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.string_view()),
        "code": (pa.int8(), pa.float64(), pa.string(), pa.dictionary(pa.int32(), pa.string())),
        "size": (pa.string(), pa.dictionary(pa.int8(), pa.string())),
        "day": (pa.string(), pa.date32(), pa.timestamp("ns"), pa.timestamp("us", tz="Asia/Tokyo")),
        "at": (pa.string(), pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("ms", tz="Asia/Kolkata")),
    }
    arrays = {}
    for name, kinds in types.items():
        kind = random.choice(kinds)
        arrays[name] = pa.array([_typed(r[name], kind) for r in table.records], kind)
    arrays["customer, id"] = pa.array(table.notes)
    file = io.BytesIO()
    pq.write_table(pa.table(arrays), file, compression=random.choice(("snappy", "zstd", "none", "gzip")))
    return PACKERS[random.choice(("", "", "gzip", "zip"))](file.getvalue())


def _typed(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if pa.types.is_decimal(kind):
        return Decimal(str(value)).quantize(Decimal(10) ** -kind.scale)
    if pa.types.is_date(kind):
        return date.fromisoformat(value)
    if pa.types.is_timestamp(kind):
        import zoneinfo

        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=zoneinfo.ZoneInfo(kind.tz)) if kind.tz else at
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
    return str(value) if text or pa.types.is_string_view(kind) else value


def write_workbook(table: RandomTable, random: Random) -> bytes:
    """Return the table as xlsx, with numbers and days as such or as text."""
    book = openpyxl.Workbook()
    sheet = book.active
    if random.random() < 0.2:
        book.create_sheet("Second").append(["other", 1])
    as_text, as_days = random.random() < 0.2, random.random() < 0.6
    above = random.choice((0, 0, 0, 2))
    for _ in range(above):
        sheet.append([])
    if above:
        sheet._current_row = above  # openpyxl writes no empty rows by itself
    sheet.append([*(f.name for f in FEATURES), "customer, id"])
    rows = []
    for record, note in zip(table.records, table.notes, strict=True):
        cells = [str(v) if as_text and v is not None else v for v in record.values()]
        if as_days and cells[5]:
            cells[5] = date.fromisoformat(cells[5])
        if as_days and cells[6]:
            cells[6] = datetime.fromisoformat(cells[6])
        rows.append([*cells, note or None])
    for at in reversed(table.blank_after):
        rows.insert(at, [])
    for i, row in enumerate(rows):
        sheet._current_row = above + 1 + i
        if row:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return PACKERS[random.choice(("", "", "", "gzip", "zip"))](file.getvalue())
