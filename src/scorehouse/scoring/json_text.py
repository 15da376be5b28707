"""Bytes to a JSON value, for every door: what a client sends as JSON is read, or refused with what it looks like.

Plain JSON is parsed once and costs nothing more. Only what is not plain JSON is looked at again:

- A byte order mark is skipped, and UTF-16 and UTF-32 are read.
- `NaN`, which Python's `json` writes for a gap in a table, is null. `Infinity` is the text "Infinity", which no number
  field accepts, so that the error names the record and the field.
- JSON in base64 is read, because AWS's tools encode a record once or twice.
- A text that holds an object or a list is that object or list: its sender encoded it twice.
- A name that appears twice in one object is refused, because nobody knows which value counts.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections import Counter
from contextlib import suppress
from typing import Any

import orjson

from scorehouse.errors import ScorehouseError
from scorehouse.scoring.resemblance import resemblance

SMALL = 128 * 1024  # bytes that take .04 s to parse at worst
# One without an end reaches to the end of all, or each quote in it would be tried as a beginning.
_TEXT = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+"?+)', re.DOTALL)
_BLANKS = b" \t\n\r\v\f\x1e"
_STANDARD = bytes.maketrans(b"-_", b"+/")  # of the two alphabets of base64
_SHOWN = 80  # characters of a name that an error repeats


class NotJson(ScorehouseError):
    """Bytes that are not one JSON value. The message has no subject: `is not JSON: it looks like CSV`.

    What comes before its first colon is one of a few fixed texts, so that refusals can be counted by it.
    """


class TooManyParts(ScorehouseError):
    """More objects and lists than the caller allows; none of them was made."""


def parse_json(data: bytes | bytearray, most_parts: int | None = None) -> Any:
    """Return the JSON value that `data` holds.

    `most_parts` bounds the objects and lists in more than 128 kB, whose making would hold up every other thread.

    Raises:
        NotJson: it is empty or not JSON, has a name twice in one object, or is nested too deeply.
        TooManyParts: it has more than `most_parts` objects and lists.
    """
    try:
        value = _parse(data, most_parts)
    except orjson.JSONDecodeError as fault:
        value = _parse_unusual(bytes(data), most_parts, fault)
    if type(value) is str and value.lstrip()[:1] in ("{", "["):
        text = value.encode()
        for form in (text, _without_gaps(text)):
            with suppress(orjson.JSONDecodeError):
                return _parse(form, most_parts)
    return value


def plain_object(data: bytes) -> dict[str, Any] | None:
    """Return the object that `data` plainly is: small, with at most objects in it, and no colon in a text.

    Most records are. None for everything else, even if it is JSON: only `parse_json` says what it is.
    """
    if len(data) > SMALL:
        return None
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if type(value) is not dict:
        return None
    return value if _is_plain(value, data.count(b":")) else None


def parse_lines(data: bytes | bytearray, most_parts: int | None = None) -> list[Any]:
    """Return the JSON value of each line that is not blank; a NotJson stands in the place of a line that has none.

    Raises:
        NotJson: every line is blank.
        TooManyParts: there are more than `most_parts` lines, or objects and lists in all of them.
    """
    text = to_utf8(bytes(data))
    if most_parts is not None and len(text) > SMALL:
        _require_few_parts(text, most_parts)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise NotJson("is empty")
    if most_parts is not None and len(lines) > most_parts:
        raise TooManyParts(f"has more than {most_parts:,} lines")
    return [_value_or_fault(line, most_parts) for line in lines]


def to_utf8(data: bytes) -> bytes:
    """Return JSON in UTF-16, in UTF-32 or with a byte order mark as plain UTF-8; other bytes as they are."""
    try:
        return data.decode(json.detect_encoding(data)).encode()
    except UnicodeError:
        return data


def _value_or_fault(line: bytes, most_parts: int | None) -> Any:
    try:
        return parse_json(line, most_parts)
    except NotJson as fault:
        return fault


def _parse(data: bytes | bytearray, most_parts: int | None) -> Any:
    """The value of plain JSON. Raises orjson.JSONDecodeError, and what `parse_json` raises."""
    if most_parts is not None and len(data) > SMALL:
        _require_few_parts(data, most_parts)
    value = orjson.loads(data)
    if not _is_plain(value, data.count(b":")):
        _refuse_repeated_names(data)
    return value


def _is_plain(value: Any, colons: int) -> bool:
    """Whether every colon stands before a member, so that no name is repeated; there may be one in a text otherwise."""
    return (type(value) is dict and colons == len(value)) or colons == _members(value)


def _parse_unusual(data: bytes, most_parts: int | None, fault: orjson.JSONDecodeError) -> Any:
    """The value of what is not plain JSON but is read all the same; `fault` says what is unusual."""
    text = to_utf8(data)
    if not text.strip():
        raise NotJson("is empty") from fault
    inner = from_base64(text)
    for form in (text, inner):
        if form is None:
            continue
        try:
            return _parse(_without_gaps(to_utf8(form)), most_parts)
        except orjson.JSONDecodeError as error:
            if form is text:
                fault = error
            elif form.startswith((b"{", b"[")):  # JSON with a slip, not base64 that looks like something
                raise _not_json(form, None, error) from error
    raise _not_json(data, inner, fault) from fault


def _not_json(data: bytes, inner: bytes | None, fault: orjson.JSONDecodeError) -> NotJson:
    """What is said of `data`, which is `inner` in base64 if that is not None."""
    text = to_utf8(data)
    if fault.msg.startswith("depth limit"):
        return NotJson("is nested too deeply")
    if fault.msg.startswith("unexpected content after") and b"\x00" not in text and text.lstrip()[:1] in (b"{", b"["):
        after = text.decode(errors="replace")[fault.pos :].strip()  # orjson counts characters
        like = "several JSON values: send one per line, as JSON lines"
        if after in {";", ".", ","}:
            like = f"JSON with {after!r} after it: leave that out"
    else:
        like = resemblance(data, inner)
    return NotJson(f"is not JSON: it looks like {like}" if like else f"is not JSON: {fault}")


def _without_gaps(text: bytes) -> bytes:
    """JSON with null for NaN and a text for Infinity, outside its texts."""
    if b"NaN" not in text and b"Infinity" not in text:
        return text
    parts = _TEXT.split(text)  # every second one is a text
    parts[::2] = [_spelled(part) for part in parts[::2]]
    return b"".join(parts)


def _spelled(part: bytes) -> bytes:
    quoted = part.replace(b"Infinity", b'"Infinity"').replace(b'-"Infinity"', b'"-Infinity"')
    return quoted.replace(b"NaN", b"null")


def from_base64(data: bytes) -> bytes | None:
    """Return what `data` says in base64, of either alphabet and with or without padding; None if it is not base64."""
    text = data.translate(_STANDARD, _BLANKS).rstrip(b"=")
    try:
        return b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None


def _require_few_parts(data: bytes | bytearray, most: int) -> None:
    """Refuse more than `most` objects and lists before they are made.

    260,000 lists of one number, 1 MB, hold the interpreter's one lock for .3 s.
    """
    if _parts(data) > most and _parts(_TEXT.sub(b"", data)) > most:
        raise TooManyParts(f"has more than {most:,} objects and lists")


def _parts(data: bytes | bytearray) -> int:
    return data.count(b"[") + data.count(b"{")


def _members(value: Any) -> int:
    """The members of an object, of the objects in it and in its lists, or of the objects in a list."""
    if type(value) is dict:
        return len(value) + sum(len(v) if type(v) is dict else _in_list(v) for v in value.values())
    return _in_list(value)


def _in_list(value: Any) -> int:
    return sum(len(v) for v in value if type(v) is dict) if type(value) is list else 0


def _refuse_repeated_names(data: bytes | bytearray) -> None:
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            # Counted once for all names: with 100,000 of them, to count each one by itself takes many minutes.
            twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
            raise NotJson(f"is ambiguous: the field {twice[:_SHOWN]!r} appears twice in one object")
        return members

    try:
        json.loads(data, object_pairs_hook=members)
    except RecursionError as error:  # orjson allows 1,024 levels, Python's stack fewer
        raise NotJson("is nested too deeply") from error
