"""Records from the input formats of MLflow's scoring protocol, and from the forms in which pandas writes a table."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from server.web.api.bodies import parse
from server.web.api.problems import Problem, require_few

_FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_SPLIT = frozenset({"columns", "index", "data", "index_names", "column_names"})  # pandas' orients split and tight
_SHOWN = 500  # characters of the columns' names
_FORMS = (
    '{"dataframe_split": {"columns": […], "data": [[…], …]}}, {"dataframe_records": [{…}, …]}, '
    '{"instances": [{…}, …]}, {"inputs": [{…}, …]}, a list of records, or plain columns {"name": […], …}'
)


def to_records(value: Any, names: list[str], most: int) -> list[Any]:
    """Return the records of an /invocations body. Rows without names take `names`, the features in order.

    Raises:
        Problem: 413 if there are more than `most`, before any is made; 422 if the body has none of the formats.
    """
    if isinstance(value, list):
        return _rows(value, names, most)
    if not isinstance(value, dict) or not value:
        raise _refused("the body has no records")
    used = [key for key in _FORMATS if key in value]
    if len(used) > 1:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the body has {' and '.join(used)}: send one of them")
    if used:
        return _format(used[0], _content(value[used[0]], most), names, most)
    if "data" in value and value.keys() <= _SPLIT and not _SPLIT & {*names}:  # MLflow 1's format=pandas-split
        return _split(value, names, most)
    if all(isinstance(row, dict) and row.keys() & {*names} for row in value.values()):  # pandas' orient index
        return _rows([*value.values()], names, most)
    if not value.keys() & {*names}:
        shown = ", ".join(repr(name[:40]) for name in list(value)[:5])
        raise _refused(f"none of the body's names is a format or a field ({shown})")
    return _columns(value, most)


def _content(content: Any, most: int) -> Any:
    """What a format holds; text is JSON that was encoded twice, as `DataFrame.to_json` inside a dictionary is."""
    is_json = isinstance(content, str) and content.lstrip()[:1] in {"{", "["}
    return parse(content.encode(), most) if is_json else content


def _format(name: str, content: Any, names: list[str], most: int) -> list[Any]:
    if isinstance(content, dict) and (name == "dataframe_split" or ("data" in content and content.keys() <= _SPLIT)):
        return _split(content, names, most)
    if isinstance(content, dict) and content:
        return _columns(content, most)
    if isinstance(content, list) and name != "dataframe_split":
        return _rows(content, names, most)
    raise _refused(f"{name} has no records")


def _split(split: dict[str, Any], names: list[str], most: int) -> list[Any]:
    columns, rows = split.get("columns", names), split.get("data")
    if not isinstance(rows, list) or not isinstance(columns, list) or not all(isinstance(c, str) for c in columns):
        raise _refused("a split has columns, a list of names, and data, a list of rows")
    if len(set(columns)) != len(columns):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "a column appears twice")
    return _rows(rows, columns, most)


def _rows(rows: list[Any], names: list[str], most: int) -> list[Any]:
    """Rows are records, or values in the order of `names`; SageMaker's have those in `features`."""
    require_few(len(rows), most)
    records = [row["features"] if _is_dense(row, names) else row for row in rows]
    return [_named(place, row, names) if isinstance(row, list) else row for place, row in enumerate(records)]


def _is_dense(row: Any, names: list[str]) -> bool:
    return (
        isinstance(row, dict)
        and row.keys() == {"features"}
        and isinstance(row["features"], list)
        and "features" not in names
    )


def _named(place: int, row: list[Any], names: list[str]) -> dict[str, Any]:
    if any(isinstance(value, dict | list) for value in row):
        raise _refused(f"row {place} (counted from 0) is a list of rows")
    if len(row) != len(names):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"row {place} (counted from 0) has {len(row)} values, but there are {len(names)} columns: "
            + ", ".join(names)[:_SHOWN],
        )
    return dict(zip(names, row, strict=True))


def _columns(columns: dict[str, Any], most: int) -> list[Any]:
    """A list per column, or an object with a value per row, as pandas writes it; plain values are one record."""
    if not any(isinstance(v, list | dict) for v in columns.values()):
        return [columns]
    if all(isinstance(v, dict) for v in columns.values()):
        first, *others = columns.values()
        if any(other.keys() != first.keys() for other in others):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "all columns must have the same rows")
        require_few(len(first), most)
        return [{name: column[row] for name, column in columns.items()} for row in first]
    lengths = {len(v) for v in columns.values() if isinstance(v, list)}
    if not all(isinstance(v, list) for v in columns.values()) or len(lengths) != 1:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "all columns must be lists of the same length")
    require_few(lengths.pop(), most)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _refused(why: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{why}: send {_FORMS}")
