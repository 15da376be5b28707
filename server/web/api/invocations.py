"""Records from the input formats of MLflow's scoring protocol, and from plain columns."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from server.web.api.problems import Problem, require_few

_FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def to_records(value: Any, names: list[str], most: int) -> list[Any]:
    """Return the records of an /invocations body. Rows without names take `names`, the features in order.

    Raises:
        Problem: 413 if there are more than `most`, before any is made; 422 if the body has none of the formats.
    """
    if not isinstance(value, dict) or not value:
        raise _unknown()
    used = [key for key in _FORMATS if key in value]
    if not used:
        return _columns(value, most)
    if len(used) > 1:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the body has {' and '.join(used)}: send one of them")
    content = value[used[0]]
    if used[0] == "dataframe_split":
        return _split(content, names, most)
    if used[0] == "inputs" and isinstance(content, dict):
        return _columns(content, most)
    return _rows(content, names, most)


def _split(split: Any, names: list[str], most: int) -> list[Any]:
    if not isinstance(split, dict) or not isinstance(split.get("data"), list):
        raise _unknown()
    columns = split.get("columns", names)
    if not isinstance(columns, list) or not all(isinstance(c, str) for c in columns):
        raise _unknown()
    if len(set(columns)) != len(columns):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "a column appears twice")
    return _rows(split["data"], columns, most)


def _rows(rows: Any, names: list[str], most: int) -> list[Any]:
    if not isinstance(rows, list):
        raise _unknown()
    require_few(len(rows), most)
    return [_named(row, names) if isinstance(row, list) else row for row in rows]


def _named(row: list[Any], names: list[str]) -> dict[str, Any]:
    if len(row) != len(names):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"a row has {len(row)} values, but there are {len(names)} columns"
        )
    return dict(zip(names, row, strict=True))


def _columns(columns: dict[str, Any], most: int) -> list[Any]:
    """One list per column; values that are not lists make a single record."""
    lists = [isinstance(v, list) for v in columns.values()]
    if not any(lists):
        return [columns]
    lengths = {len(v) for v in columns.values() if isinstance(v, list)}
    if not all(lists) or len(lengths) != 1:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "all columns must be lists of the same length")
    require_few(lengths.pop(), most)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _unknown() -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the body must contain {', '.join(_FORMATS)}, or plain columns")
