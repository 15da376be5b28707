"""What a stream record contains: one record, or many that a producer packed into it.

A record is JSON. It may come in base64 (awscli 1 sends its argument as it is, awscli 2 decodes it first), compressed,
in a KPL aggregate, in a list, or on a line of its own, and in several of these at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from scorehouse.errors import ScorehouseError
from scorehouse.scoring.compression import BadCompression, TooLong, decompress
from scorehouse.scoring.json_text import NotJson, TooManyParts, from_base64, parse_json, plain_object, to_utf8
from scorehouse.scoring.schema import FieldError, Rejected
from scorehouse.streams.aggregates import MAGIC, NotAggregate, take_apart

# As GetRecords returns it: SequenceNumber, PartitionKey, Data (bytes). A part has its own key and data, and an Index;
# the Data of an item of a list is its JSON value.
StreamRecord = Mapping[str, Any]
Part = tuple[StreamRecord, Any]  # with its JSON value, or the reason why it has none (Rejected)

MOST_UNPACKED = 16 * 2**20  # bytes that one record may unpack to: its JSON values take up to 20 times as many
MOST_PARTS = 100_000  # of one record
MOST_LAYERS = 4  # base64 of a gzipped aggregate of gzipped records has four
SLICE = 2000  # parts that are scored together, so that memory does not depend on the packing
_MOST_OBJECTS = 2 * MOST_PARTS + 1000  # objects and lists in one JSON value: an envelope makes two of a record
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x50\x2a\x4d\x18": "zstd",  # pzstd begins with a frame to skip
    **dict.fromkeys((b"x\x01", b"x\x5e", b"x\x9c", b"x\xda"), "deflate"),  # as zlib begins
}
_PACKED = (MAGIC, *_COMPRESSED)
_BLANKS = b" \t\r\n\x1e"  # around lines; RFC 7464 puts a record separator before each
_ENCODED = (b"84ma", b"H4s", b"KLUv", b"ey")  # an aggregate, gzip, zstd and a JSON object in base64 again
_LINE_END = re.compile(rb"[\r\n]")


class _Unreadable(ScorehouseError):
    """A part is not read although nothing is wrong with its bytes."""


class _TooMany(ScorehouseError):
    """The record contains more parts than one may have, so none of them is answered."""


_FAULTS = (_Unreadable, NotAggregate, BadCompression, TooLong, NotJson, TooManyParts)  # messages without a subject


@dataclass(frozen=True, slots=True)
class Slice:
    """Parts of a batch, in order. `complete` is the last record's sequence number once all of its parts are there."""

    parts: list[Part]
    complete: str | None
    last: bool = False


def slices(records: Sequence[StreamRecord]) -> Iterator[Slice]:
    """Yield what `records` contain, in order, in slices that fit into memory. There is at least one, perhaps empty.

    A batch of up to `SLICE` records that contain one part each, as most do, makes one slice.
    """
    values = [plain_object(record["Data"]) for record in records]
    if 0 < len(records) <= SLICE and None not in values and sum(len(r["Data"]) for r in records) <= MOST_UNPACKED:
        yield Slice(list(zip(records, values, strict=True)), records[-1]["SequenceNumber"], last=True)
        return
    parts: list[Part] = []
    size = 0
    complete: str | None = None
    for record, value in zip(records, values, strict=True):
        found, more = unpack(record) if value is None else ([(record, value)], len(record["Data"]))
        if parts and (len(parts) + len(found) > SLICE or size + more > MOST_UNPACKED):
            yield Slice(parts, complete)
            parts, size = [], 0
        parts += found
        size += more
        while len(parts) > SLICE:
            yield Slice(parts[:SLICE], None)
            parts = parts[SLICE:]
        complete = record["SequenceNumber"]
    yield Slice(parts, complete, last=True)


def unpack(record: StreamRecord) -> tuple[list[Part], int]:
    """Return the parts of `record`, at least one, and how many bytes of JSON they are.

    What cannot be read is a part too, with the reason. A record that is not packed is its own and only part.
    """
    data = record["Data"]
    if b"\n" not in data and not data.startswith(_PACKED):
        try:
            value = parse_json(data, _MOST_OBJECTS)
        except (NotJson, TooManyParts):
            pass  # it is looked at more closely
        else:
            if type(value) is dict:
                return [(record, value)], len(data)
    unpacking = _Unpacking()
    try:
        unpacking.open(record, data, 0)
    except _TooMany as error:
        return [(record, rejected(str(error)))], 0
    return unpacking.parts, unpacking.size


def rejected(problem: str) -> Rejected:
    """Return the refusal of what is not even a record."""
    return Rejected((FieldError("", None, problem, "a JSON object of named fields"),))


def original(part: StreamRecord) -> bytes:
    """Return the bytes of a record or a part, for its dead letter."""
    data = part["Data"]
    if isinstance(data, bytes):
        return data
    try:
        return orjson.dumps(data)
    except TypeError:  # deeper than orjson writes, though not deeper than it reads
        return b'"nested too deeply to be shown"'


class _Unpacking:
    """The parts of one stream record that were found so far."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.size = 0
        self._left = MOST_UNPACKED

    def open(self, part: StreamRecord, data: bytes, layers: int) -> None:
        """Add what `data`, the content of `part`, contains. Raises _TooMany."""
        try:
            self._open(part, data, layers)
        except _FAULTS as fault:
            self._append(part, rejected(str(fault)))

    def _open(self, part: StreamRecord, data: bytes, layers: int) -> None:
        if layers > MOST_LAYERS:
            raise _Unreadable(f"is packed more than {MOST_LAYERS} times")
        if data.startswith(MAGIC):
            packed = take_apart(data, MOST_PARTS)
            self._require_room(len(packed))
            for place, (key, content) in enumerate(packed):
                self.open(_part(part, place, key, content), content, layers + 1)
        elif coding := next((c for beginning, c in _COMPRESSED.items() if data.startswith(beginning)), ""):
            self._open(part, self._decompress(data, coding), layers + 1)
        else:
            self._read(part, data, layers)

    def _decompress(self, data: bytes, coding: str) -> bytes:
        """All that is compressed in one record shares a budget, so that bombs side by side cost no more than one."""
        try:
            content = decompress(data, coding, self._left)
        except BadCompression as fault:
            self._left -= fault.made
            raise
        except TooLong as fault:
            self._left = 0
            raise _Unreadable(f"exceeds the {MOST_UNPACKED:,} bytes that a record may have, decompressed") from fault
        self._left -= len(content)
        return content

    def _read(self, part: StreamRecord, data: bytes, layers: int) -> None:
        if self._add_lines(part, data, layers, sure=True):
            return
        try:
            value = parse_json(data.removeprefix(b"\x1e"), _MOST_OBJECTS)
        except NotJson:
            if (content := _from_base64(data)) is not None:
                self._open(part, content, layers + 1)
            elif not self._add_lines(part, data, layers, sure=False):
                raise
            return
        self.size += len(data)
        if type(value) is list and any(type(item) is dict for item in value):
            self._require_room(len(value))
            self._add(part, ((item, item) for item in value))
        elif type(value) is str and (content := _from_base64(value.encode())) is not None:
            self._open(part, content, layers + 1)  # how Java writes bytes as JSON
        elif value == []:
            raise _Unreadable("contains no record")
        else:
            self._append(part, value)

    def _add_lines(self, part: StreamRecord, data: bytes, layers: int, sure: bool) -> bool:
        """Add the lines of `data` if there are several, of which any may be faulty.

        There are, if something follows a first line that is a whole object, or, where that is not to be `sure`, looks
        like one or like base64 of one.
        """
        text = to_utf8(data).strip(_BLANKS)
        end = _LINE_END.search(text)
        if not end:
            return False
        if not _begins_lines(text[: end.start()].rstrip(_BLANKS), sure):
            return False
        self._require_room(text.count(b"\n") + text.count(b"\r"))
        self.size += len(data)
        lines = (line.strip(_BLANKS) for line in text.splitlines())
        for place, line in enumerate(filter(None, lines)):
            found = _part(part, place, part["PartitionKey"], line)
            if line.startswith(b"{"):
                self._append(found, _value(line))
            else:
                self.open(found, line, layers + 1)
        return True

    def _add(self, part: StreamRecord, found: Iterable[tuple[Any, Any]]) -> None:
        for place, (data, value) in enumerate(found):
            self._append(_part(part, place, part["PartitionKey"], data), value)

    def _append(self, part: StreamRecord, value: Any) -> None:
        self._require_room(1)
        self.parts.append((part, value))

    def _require_room(self, count: int) -> None:
        if not count:
            raise _Unreadable("contains no record")
        if len(self.parts) + count > MOST_PARTS:
            raise _TooMany(f"contains more than {MOST_PARTS:,} records")


def _begins_lines(first: bytes, sure: bool) -> bool:
    if first.startswith(b"{") and first.endswith(b"}"):
        return not sure or not isinstance(_value(first), Rejected)
    return not sure and (type(_value(first)) is dict or _from_base64(first) is not None)


def _part(whole: StreamRecord, place: int, key: str, data: bytes) -> StreamRecord:
    index = f"{whole['Index']}:{place}" if "Index" in whole else str(place)
    return {"SequenceNumber": whole["SequenceNumber"], "Index": index, "PartitionKey": key, "Data": data}


def _value(line: bytes) -> Any:
    try:
        return parse_json(line, _MOST_OBJECTS)
    except (NotJson, TooManyParts) as fault:
        return rejected(str(fault))


def _from_base64(data: bytes) -> bytes | None:
    """What `data` says in base64, if that could be a record."""
    content = from_base64(data)
    return content if content is not None and content.startswith((*_PACKED, b"{", *_ENCODED)) else None
