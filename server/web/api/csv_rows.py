"""Records from a CSV body of /invocations, as MLflow's clients send a table: names first, cells as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from http import HTTPStatus
from itertools import islice
from typing import Any

from scorehouse.usecase import Feature
from server.web.api.problems import Problem, require_few

GAPS = frozenset(
    {"", "NA", "N/A", "NaN", "nan", "null", "NULL"}
)  # the same as in pandas, which writes and reads such tables


def csv_records(body: bytes, features: Iterable[Feature], most: int, header: bool = True) -> list[dict[str, Any]]:
    """Return one record for each line below the first. Cells of numeric features become numbers.

    Without `header` the first line is a record too, and the columns are the features in their order.

    A cell of a numeric feature that is not a number stays text, and the schema refuses it.

    Raises:
        Problem: 400 if the body is not CSV; 413 if it has more than `most` records, and no more are read; 422 if the
            first line names no feature, or a line has gaps.
    """
    by_name = {f.name: f for f in features}
    try:
        read = islice(filter(None, csv.reader(io.StringIO(body.decode("utf-8-sig")), strict=True)), most + 2)
        names, *lines = read if header else [[*by_name], *read]
    except (UnicodeDecodeError, csv.Error) as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is not CSV: {error}") from error
    except ValueError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is empty") from error
    if not header and not lines:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is empty")
    require_few(len(lines), most)
    if not by_name.keys() & set(names):
        raise _refused(
            "the first line must contain the column names; without them, send Content-Type: text/csv; header=absent "
            f"and the values in this order: {', '.join(by_name)[:500]}"
        )
    if len(set(names)) != len(names):
        raise _refused("a column appears twice")
    kinds = [by_name.get(name) for name in names]
    for number, line in enumerate(lines):
        if len(line) != len(names):
            raise _refused(f"row {number} (counted from 0) has {len(line)} values, but there are {len(names)} columns")
    return [dict(zip(names, map(_value, line, kinds), strict=True)) for line in lines]


def _value(cell: str, feature: Feature | None) -> Any:
    if feature is None:
        return cell or None
    if cell in feature.categories:
        return cell
    if cell in GAPS:
        return None
    if feature.kind == "date" or (feature.kind == "category" and not _coded(feature)):
        return cell
    try:
        number = float(cell)
    except ValueError:
        return cell
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _coded(feature: Feature) -> bool:
    return any(isinstance(c, int) for c in feature.categories)


def _refused(why: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, why)
