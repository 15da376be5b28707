"""Problems with a request, as RFC 9457 problem+json."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson

from scorehouse.errors import ScorehouseError
from scorehouse.scoring.schema import Rejected
from scorehouse.serving.recent_ids import is_conflict

PROBLEM_TYPE = "application/problem+json"
MOST_ERRORS = 200  # of all records of one answer; beyond, each record that is refused shows its first error


class Problem(ScorehouseError):
    """The error that answers a request: its status, what is wrong, further members, and headers."""

    def __init__(self, status: HTTPStatus, detail: str, **members: Any):
        """`detail` says what is wrong and what to do."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.members = members
        self.headers: dict[str, str] = {}

    def to_bytes(self) -> bytes:
        """Return the problem document."""
        title = self.status.phrase
        return orjson.dumps(
            {"type": "about:blank", "title": title, "status": self.status.value, "detail": self.detail, **self.members}
        )


class ErrorsShown:
    """What is said about the refused records of one list: short, however long the list is."""

    def __init__(self) -> None:
        """Nothing is shown yet."""
        self._left = MOST_ERRORS

    def errors(self, rejected: Rejected) -> list[dict[str, Any]]:
        """Return the errors of the next record: all of them, or the first where the answer would become too long."""
        shown = rejected.to_json(max(1, self._left))
        self._left -= len(shown)
        return shown


def require_few(records: int, most: int, what: str = "a request") -> None:
    """Raise Problem (413) if there are more than `most` records in `what`."""
    if records > most:
        detail = f"{what} must not contain more than {most:,} records"
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def refusal(rejected: Rejected) -> Problem:
    """Return the 422 that names every bad field of one record, or the 409 if only its id is another record's."""
    if is_conflict(rejected):
        return Problem(HTTPStatus.CONFLICT, rejected.reason, errors=rejected.to_json())
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, f"the record cannot be scored: {rejected.reason}", errors=rejected.to_json()
    )
