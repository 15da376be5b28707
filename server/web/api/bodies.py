"""The body of a request, within limits: decompressed, in UTF-8, and parsed; what cannot be read is refused with why."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, NoReturn

from werkzeug.http import parse_options_header

from scorehouse.scoring.compression import CODINGS, BadCompression, TooLong, compression, decompress
from scorehouse.scoring.json_text import NotJson, TooManyParts, parse_json, parse_lines
from server.web.api.problems import Problem, require_few

JSON, CSV = "application/json", "text/csv"
LINES, NDJSON = "application/jsonlines", "application/x-ndjson"  # JSON lines: SageMaker's name, and the usual one
_LINES = {LINES, NDJSON, "application/ndjson", "application/jsonl", "application/x-jsonlines"}
_UTF8 = {"", "utf-8", "utf8", "us-ascii", "ascii"}
# No others: Python knows codecs that take a minute for a megabyte, and keeps every name that it is asked for.
_CHARSETS = {
    "utf-16",
    "utf-16le",
    "utf-16be",
    "utf-32",
    "iso-8859-1",
    "latin1",
    "iso-8859-15",
    "windows-1252",
    "cp1252",
}


class Body(NamedTuple):
    """A body: decompressed and, if its charset is named, in UTF-8; its media type; whether CSV begins with names."""

    content: bytes
    media: str
    has_header: bool = True


def read_body(environ: dict[str, Any], most: int, kinds: Sequence[str] = (JSON,)) -> Body:
    """Return the body if it is of one of `kinds`: JSON, LINES or CSV. A body without Content-Type is JSON.

    Raises:
        Problem: 400 if it is not in the coding or charset that it names; 413 if it has more than `most` bytes, as it is
            sent or decompressed; 415 for another media type, coding or charset.
    """
    kind, options = parse_options_header(environ.get("CONTENT_TYPE") or JSON)
    media = _media(kind.lower())
    if (LINES if media in _LINES else media) not in kinds:
        raise _unsupported(f"send the body as Content-Type: {' or '.join(kinds)}")
    charset = options.get("charset", "").lower()
    if charset not in _UTF8 and charset not in _CHARSETS:
        raise _unsupported("this charset is not known: send the body in UTF-8")
    content = _decompressed(_sent(environ, most), environ.get("HTTP_CONTENT_ENCODING", ""), most)
    if charset not in _UTF8:
        try:
            content = content.decode(charset).encode()
        except UnicodeDecodeError as error:
            raise Problem(HTTPStatus.BAD_REQUEST, f"the body is not {charset}, as its Content-Type says") from error
    return Body(content, media, options.get("header", "").lower() != "absent")


def is_lines(media: str) -> bool:
    """Return whether a media type is JSON lines."""
    return media in _LINES


def parse(content: bytes | bytearray, most_records: int) -> Any:
    """Return the JSON value of `content`.

    Raises:
        Problem: 400 for what is not JSON, or contains a field twice; 413 for what cannot be `most_records` or fewer.
    """
    try:
        return parse_json(content, _most_parts(most_records))
    except (NotJson, TooManyParts) as error:
        _refuse(error, most_records)


def parse_each_line(content: bytes, most_records: int) -> list[Any]:
    """Return the values of JSON lines, a NotJson in the place of one that is not JSON. Raises Problem: 400 or 413."""
    try:
        values = parse_lines(content, _most_parts(most_records))
    except (NotJson, TooManyParts) as error:
        _refuse(error, most_records)
    require_few(len(values), most_records)
    return values


def parse_body(body: Body, most_records: int) -> Any:
    """Return the JSON value of `body`, or the list of its lines' values. Raises Problem: 400 or 413."""
    if not is_lines(body.media):
        return parse(body.content, most_records)
    values = parse_each_line(body.content, most_records)
    for number, value in enumerate(values):
        if isinstance(value, NotJson):
            raise Problem(HTTPStatus.BAD_REQUEST, f"row {number} (counted from 0) {value}") from value
    return values


def _media(kind: str) -> str:
    return JSON if kind.endswith("+json") else kind


def _sent(environ: dict[str, Any], most: int) -> bytes:
    declared = environ.get("CONTENT_LENGTH") or "0"
    if declared.isdigit() and int(declared) > most:
        raise _too_large(most)
    body: bytes = environ["wsgi.input"].read(most + 1)  # a chunked body declares no length
    if len(body) > most:
        raise _too_large(most)
    return body


def _decompressed(body: bytes, named: str, most: int) -> bytes:
    """The body without the Content-Encoding `named`, or without the one that its first bytes show."""
    name = named.strip().lower()
    coding = {"x-gzip": "gzip", "identity": ""}.get(name, name)
    if coding and coding not in CODINGS:
        problem = _unsupported(f"send the body without Content-Encoding, or with one of {', '.join(CODINGS)}")
        problem.headers["Accept-Encoding"] = ", ".join(CODINGS)
        raise problem
    coding = coding or compression(body)
    if not coding or not body:
        return body
    try:
        return decompress(body, coding, most)
    except BadCompression as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body {error}") from error
    except TooLong as error:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body {error}") from error


def _most_parts(most_records: int) -> int:
    """More objects and lists than `most_records` records are made of, whatever their format."""
    return 2 * most_records + 1000


def _refuse(error: NotJson | TooManyParts, most_records: int) -> NoReturn:
    if isinstance(error, TooManyParts):
        require_few(most_records + 1, most_records)
    raise Problem(HTTPStatus.BAD_REQUEST, f"the body {error}") from error


def _unsupported(detail: str) -> Problem:
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)


def _too_large(most: int) -> Problem:
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body must not exceed {most:,} bytes")
