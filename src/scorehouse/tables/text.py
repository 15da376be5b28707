"""How a text is written: its encoding, the separator, the quotes, and where its header is. Then its rows."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from scorehouse.errors import TableError
from scorehouse.tables.content import HEAD

SEPARATORS = ",;\t|"
MOST_COLUMNS = 10_000
HEAD_ROWS = 10_000  # rows that decide how numbers and dates are written
_TRIED_ROWS = 200  # rows by which separators and quotes are compared
_BOMS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8 with a byte order mark"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_NO_ROW = re.compile(r"(?:[ \xa0,;|\t]*|\"?sep=([,;|\t])\"?)(?:\r\n|\r|\n)", re.IGNORECASE)  # before the header
_WORDS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}
UNNAMED = "Unnamed: "  # and its place: a column without a name, as pandas calls it
csv.field_size_limit(HEAD)


class BadNames(TableError):
    """The header does not name the columns, or names two alike."""


class TornRow(TableError):
    """A row has too few or too many cells."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec, the length of the byte order mark before the text, and what people call it (empty for UTF-8)."""

    codec: str
    mark: int = 0
    name: str = ""


def find_encoding(head: bytes) -> Encoding:
    """Return the encoding that the first bytes show. Single bytes that UTF-8 does not allow are Windows-1252.

    Raises:
        TableError: it is binary.
    """
    for mark, codec, name in _BOMS:
        if head.startswith(mark):
            return Encoding(codec, len(mark), name)
    sample = head[:4096]
    if b"\0" not in sample:
        return Encoding("utf-8")
    odd, even = sample[1::2].count(0), sample[::2].count(0)
    if max(odd, even) > len(sample) // 4 and min(odd, even) <= len(sample) // 20:
        return Encoding("utf-16-le" if odd > even else "utf-16-be", 0, "UTF-16")
    raise TableError("is binary, not text")


class Decoder:
    """Turns bytes into text, part by part. `mixed` says that some bytes were read as Windows-1252.

    A table in UTF-8 with one cell pasted from another program is as usual as a table in Latin-1. Both are read by this
    one rule, without looking at the whole file first: what is valid UTF-8 is that, any other byte is Windows-1252,
    which has Latin-1's letters.
    """

    def __init__(self, encoding: Encoding):
        """Start at the first byte, which may be the mark's."""
        self.mixed = False
        self._left = encoding.mark
        self._pending = b""
        self._wide = None if encoding.codec == "utf-8" else codecs.getincrementaldecoder(encoding.codec)()

    def decode(self, part: bytes, last: bool = False) -> str:
        """Return the text of the next bytes. Raises TableError where UTF-16 or UTF-32 is torn."""
        skipped = min(self._left, len(part))
        self._left -= skipped
        part = part[skipped:] if skipped else part
        if self._wide is None:
            return self._narrow(self._pending + part if self._pending else part, last)
        try:
            return self._wide.decode(part, last)
        except UnicodeError as error:
            raise TableError(f"is torn: {error}") from error

    def _narrow(self, data: bytes, last: bool) -> str:
        try:
            text, used = codecs.utf_8_decode(data, "strict", last)
        except UnicodeDecodeError:
            self.mixed = True
            text, used = codecs.utf_8_decode(data, _SINGLE, last)
        self._pending = data[used:]
        return text


def decode_head(head: bytes, encoding: Encoding) -> str:
    """Return the characters of a text's first bytes, up to HEAD, without one that is cut off."""
    return Decoder(encoding).decode(head, last=len(head) < HEAD)


def _as_single(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 - a decoder raises no other
    return _SINGLES[error.object[error.start]], error.start + 1


# The five bytes that Windows-1252 leaves open are the control characters that they are in Latin-1.
_SINGLES = [bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(256)]
_SINGLE = "scorehouse.windows-1252"
codecs.register_error(_SINGLE, _as_single)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a text are written. `start` is the position of the first one in the text, `row` its number."""

    separator: str
    quote: str
    escape: str | None
    names: tuple[str, ...]
    start: int = 0
    row: int = 1
    header: bool = True  # False: the first row is data, and the names are given

    @property
    def said(self) -> str:
        """What a person may want to know about it, in a few words."""
        words = [f"{_WORDS.get(self.separator, repr(self.separator))} between columns"]
        words += ["single quotes"] if self.quote == "'" else []
        words += ["backslashes before quotes"] if self.escape else []
        return ", ".join(words)


def find_layout(head: str, whole: bool, names: Sequence[str] = ()) -> Layout:
    """Return the layout of a text from its beginning. `whole` says that `head` is all of it.

    Without `names`, the first row is the header.

    Raises:
        TableError: it has no header, or too many columns.
    """
    start, row, given = _find_first(head)
    text = head[start:]
    quotes = [q for q in "\"'" if q == '"' or q in text]
    escapes = [None, "\\"] if "\\" in text else [None]
    separators = given or [s for s in SEPARATORS if s in text] or [","]
    candidates = [Layout(s, q, e, ()) for q in quotes for e in escapes for s in separators]
    best = candidates[0]
    if len(candidates) > 1:
        rated = [(_rate(text, candidate, whole), -i, candidate) for i, candidate in enumerate(candidates)]
        best = max(rated, key=lambda r: r[:2])[2]
    first = next(iter(_head_rows(text, best, whole, 2)), None)
    if first is None:
        asked = ": is a quote in it not closed?" if best.quote in text[: text.find("\n")] else ""
        raise TableError(f"has a first row of more than {HEAD:,} bytes{asked}")
    if whole and is_torn("\n" + text, first[-1], best):
        raise TableError("has a quote in its first row that is not closed: close it, or remove it")
    if names and len(first) != len(names):
        raise torn_row(row, len(first), len(names))
    return replace(best, names=tuple(names) or to_names(first), start=start, row=row, header=not names)


def torn_row(row: int, cells: int, columns: int, open_quote: bool = False) -> TornRow:
    """Return the error for a row of the file, without its content, which may be personal data.

    `open_quote` says that a quote begins in the row and does not end in it.
    """
    counted = "1 cell" if cells == 1 else f"{cells:,} cells"
    if columns == 1:
        return TornRow(
            f"has {counted} in row {row:,}, but one name in the first row: is that a title? If so, remove it"
        )
    why = ": a quote in it is not closed" if open_quote else ""
    if cells == columns + 1:
        why = ": has a cell an unquoted separator, does the row end with one, or does the header lack a name?"
    return TornRow(f"has {counted} in row {row:,}, but there are {columns:,} columns{why}")


def to_names(cells: Sequence[Any]) -> tuple[str, ...]:
    """Return the names in a header: blanks around are removed, and a column without a name is `Unnamed: 3`.

    Raises:
        TableError: there are too many, or two are equal.
    """
    if len(cells) > MOST_COLUMNS:
        raise TableError(f"has {len(cells):,} columns; at most {MOST_COLUMNS:,} are read")
    given = [str(cell or "").strip() for cell in cells]
    require_distinct([name for name in given if name])
    return tuple(name or _unnamed(i, given) for i, name in enumerate(given))


def _unnamed(place: int, given: Sequence[str]) -> str:
    """A table that pandas has written, read and written again has a column with such a name already."""
    name = f"{UNNAMED}{place}"
    while name in given:
        name += "_"
    return name


def require_distinct(names: Sequence[str]) -> None:
    """Raise BadNames if two columns have one name."""
    seen: set[str] = set()
    twice = sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]
    if twice:
        raise BadNames(f"has more than one column named {', '.join(map(repr, twice[:5]))}")


def rows_of(text: str, layout: Layout) -> Iterator[list[str]]:
    """Yield the rows of a whole text, without its header; [] for an empty line. Raises TableError."""
    lines = io.StringIO(text, newline="")
    lines.seek(layout.start)
    reader = _reader(lines, layout)
    try:
        if layout.header:
            next(reader, None)
        yield from reader
    except csv.Error as error:
        raise TableError(f"has a cell that cannot be read near line {reader.line_num}: {error}") from error


def head_rows(head: str, layout: Layout, whole: bool) -> list[list[str]]:
    """Return the first rows without the header, those that have as many cells as there are names."""
    rows = _head_rows(head[layout.start :], layout, whole, HEAD_ROWS + layout.header)
    return [row for row in rows[layout.header :] if len(row) == len(layout.names)]


def is_torn(tail: str, cell: str, layout: Layout) -> bool:
    """Return whether a text that ends with `tail`, whose last cell is `cell`, ends within quotes."""
    q = layout.quote
    if not layout.escape:
        written = q + cell.replace(q, q + q)
        before = tail[-len(written) - 1 : -len(written)]
        return tail.endswith(written) and before in {layout.separator, "\n", "\r"}
    ends = tail.rstrip("\r\n")  # with escapes, what was written cannot be told from the cell
    return cell.endswith(("\n", "\r")) and not (ends.endswith(q) and not ends.endswith("\\" + q))


def is_blank(cells: Sequence[str]) -> bool:
    """Return whether a row has no value at all."""
    return not any(cell and not cell.isspace() for cell in cells)


def _reader(lines: Any, layout: Layout) -> Any:
    return csv.reader(lines, delimiter=layout.separator, quotechar=layout.quote, escapechar=layout.escape)


def _find_first(head: str) -> tuple[int, int, str]:
    """Return where the first row begins, its number, and the separator that Excel's first line `sep=;` names."""
    start, row, given = 0, 1, ""
    while match := _NO_ROW.match(head, start):
        start, row, given = match.end(), row + 1, given or match[1] or ""
    if start == len(head):
        raise TableError("is empty")
    return start, row, given


def _head_rows(text: str, layout: Layout, whole: bool, most: int) -> list[list[str]]:
    try:
        rows = list(islice(_reader(io.StringIO(text, newline=""), layout), most))
    except csv.Error:
        return []
    return rows if whole or len(rows) == most else rows[:-1]  # the last one may be cut off


def _rate(text: str, layout: Layout, whole: bool) -> tuple[bool, float, bool, bool, int, int, bool]:
    """Rate a layout: columns at all, rows as long as the header, quotes that end, a header without any, columns, rows.

    On a tie, a backslash before a quote escapes it: were it the end of a cell, the rows would have other lengths.
    """
    lines = _head_rows(text, layout, whole, _TRIED_ROWS)
    rows = [row for row in lines if row and not is_blank(row)]
    if not rows:
        return False, 0, False, False, 0, 0, False
    width = len(rows[0])
    alike = sum(len(row) == width for row in rows) / len(rows)
    ended = not (whole and is_torn(text, rows[-1][-1], layout))
    bare = not any('"' in name or (len(name) > 1 and name[0] == name[-1] == "'") for name in rows[0])
    escaped = bool(layout.escape) == (f"\\{layout.quote}" in text)
    return width > 1, alike, ended, bare, width, len(lines), escaped
