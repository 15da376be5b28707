"""The body of a request as JSON, within limits; what is not plain JSON is refused with the reason."""

from __future__ import annotations

import json
import re
from collections import Counter
from http import HTTPStatus
from typing import Any

import orjson

from server.web.api.problems import Problem, require_few

SMALL = 128 * 1024  # bytes of a body that takes .04 s to parse at worst
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def read_body(environ: dict[str, Any], most: int, alternative: str = "") -> bytes:
    """Return the body if it is JSON, or of the media type `alternative`. Raises Problem: 413 or 415."""
    media = environ.get("CONTENT_TYPE", "")
    if media != "application/json" and not _is_json(media) and not (alternative and is_media(media, alternative)):
        kinds = " or ".join(filter(None, ("application/json", alternative)))
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send the body as Content-Type: {kinds}")
    declared = environ.get("CONTENT_LENGTH") or "0"
    if declared.isdigit() and int(declared) > most:
        raise _too_large(most)
    body: bytes = environ["wsgi.input"].read(most + 1)  # a chunked body declares no length
    if len(body) > most:
        raise _too_large(most)
    return body


def is_media(media: str, kind: str) -> bool:
    """Return whether a Content-Type is `kind`, with any parameters."""
    return media.partition(";")[0].strip().lower() == kind


def _is_json(media: str) -> bool:
    kind = media.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def parse(body: bytes | bytearray, most_records: int | None = None) -> Any:
    """Return the body's JSON value.

    Raises:
        Problem: 400 for what is not JSON, or contains a field twice; 413 for what cannot be `most_records` or fewer.
    """
    if most_records is not None and len(body) > SMALL:
        _require_few_containers(body, most_records)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}" if body.strip() else "the body is empty"
        ) from error
    if body.count(b":") != _members(value):  # a colon in a text, or a repeated name
        _refuse_repeated_names(body)
    return value


def _require_few_containers(body: bytes | bytearray, most_records: int) -> None:
    """Refuse more objects and lists than `most_records` records are made of, whatever their format.

    This is done before they are made: 260,000 lists of one number, 1 MB, hold the interpreter's one lock for .3 s.
    """
    most = 2 * most_records + 1000
    if _containers(body) > most and _containers(_TEXT.sub(b"", body)) > most:
        require_few(most, most_records)


def _containers(body: bytes | bytearray) -> int:
    return body.count(b"[") + body.count(b"{")


def _members(value: Any) -> int:
    if type(value) is dict:
        return len(value)
    return sum(len(v) for v in value if type(v) is dict) if type(value) is list else 0


def _refuse_repeated_names(body: bytes | bytearray) -> None:
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            # Counted once for all names: with 100,000 of them, to count each one by itself takes many minutes.
            twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
            raise Problem(HTTPStatus.BAD_REQUEST, f"the field {twice[:80]!r} appears twice in one object")
        return members

    try:
        json.loads(body, object_pairs_hook=members)
    except RecursionError as error:  # orjson allows 1,024 levels, Python's stack fewer
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is not a record: it is nested too deeply") from error


def _too_large(most: int) -> Problem:
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body must not exceed {most:,} bytes")
