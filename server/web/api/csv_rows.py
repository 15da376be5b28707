"""Records from a CSV body of /invocations: what the one reader of tables gives, and its refusals as problems."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from scorehouse.errors import TableError
from scorehouse.tables.records import MOST_BYTES, TooManyRows, read_records
from scorehouse.tables.text import BadNames, TornRow
from scorehouse.usecase import Feature
from server.web.api.problems import Problem

_SHOWN = 500  # characters of the columns' names


def csv_records(
    body: bytes, features: Iterable[Feature], most: int, header: bool = True, most_bytes: int = MOST_BYTES
) -> list[dict[str, Any]]:
    """Return one record for each row: the first one has the names, unless there is no `header`.

    Without a header the columns are the features in their order. A cell that cannot be what its feature is stays text,
    and the schema refuses it.

    Raises:
        Problem: 400 if the body is not CSV; 413 if it has more than `most` records, or unpacks to more than
            `most_bytes`, and no more is read; 422 if the first row names no feature, two columns have one name, or a
            row has too few or too many cells.
    """
    known = tuple(features)
    try:
        return read_records(body, known, most, header, most_bytes)
    except TooManyRows as error:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body {error}") from error
    except TornRow as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the body {error}") from error
    except BadNames as error:
        order = ", ".join(f.name for f in known)[:_SHOWN]
        bare = f"if its first row is a record, send Content-Type: text/csv; header=absent and the columns {order}"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the body {error}; {bare}") from error
    except TableError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body {error}") from error
