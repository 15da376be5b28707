"""Where in a message the record is that its sender meant: services wrap records in envelopes of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Set
from typing import Any

import orjson

from scorehouse.scoring.json_text import from_base64

_DEEPEST = 5  # of Records[0].kinesis.data and the like
_MOST_LOOKED_AT = 200  # values: a hostile message costs no more than this
_LONGEST = 2**16  # characters of a text that is parsed
_LONGEST_NAME = 40  # of a field in the path that is shown


def find_record(message: dict[str, Any], fields: Set[str]) -> str:
    """Return where in `message` an object with one of `fields` is, such as `detail` or `data (base64)`; else empty."""
    waiting = deque((path, value, 1) for path, value in _inside("", message))
    for _ in range(_MOST_LOOKED_AT):
        if not waiting:
            break
        path, value, depth = waiting.popleft()
        form = ""
        if type(value) is str:
            value, form = _parsed(value)
        if type(value) is dict and not fields.isdisjoint(value):
            return f"{path} ({form})" if form else path
        if depth < _DEEPEST and len(waiting) < _MOST_LOOKED_AT:
            waiting.extend((p, v, depth + 1) for p, v in _inside(path, value))
    return ""


def _inside(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if type(value) is dict:
        names = list(value)[:_MOST_LOOKED_AT]
        return ((f"{path}.{name[:_LONGEST_NAME]}" if path else name[:_LONGEST_NAME], value[name]) for name in names)
    if type(value) is list:
        return ((f"{path}[{place}]", value[place]) for place in range(min(1, len(value))))
    return iter(())


def _parsed(text: str) -> tuple[Any, str]:
    """Return the JSON value that a text holds, as it is or in base64, and in which form; the text if it is none."""
    if len(text) > _LONGEST:
        return text, ""
    stripped = text.lstrip()
    if stripped.startswith(("{", "[")):
        content: bytes | None = stripped.encode("utf-8", "surrogatepass")
        form = "JSON in a text"
    else:
        content, form = from_base64(text.encode("utf-8", "surrogatepass")), "base64"
    try:
        return (text, "") if content is None else (orjson.loads(content), form)
    except orjson.JSONDecodeError:
        return text, ""
