"""What went wrong with a request, as RFC 9457 problem+json."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson

from scorehouse.errors import ScorehouseError
from scorehouse.scoring.schema import Rejected

PROBLEM_TYPE = "application/problem+json"


class Problem(ScorehouseError):
    """A request that gets an error for an answer: its status, what is wrong, and members of its own."""

    def __init__(self, status: HTTPStatus, detail: str, **members: Any):
        """Say in `detail` what is wrong and what would be right."""
        super().__init__(detail)
        self.status, self.detail, self.members = status, detail, members

    def to_bytes(self) -> bytes:
        """Return the problem document."""
        title = self.status.phrase
        return orjson.dumps(
            {"type": "about:blank", "title": title, "status": self.status.value, "detail": self.detail, **self.members}
        )


def refusal(rejected: Rejected) -> Problem:
    """Return the 422 that names every bad field of one record."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, f"the record cannot be scored: {rejected.reason}", errors=rejected.to_json()
    )
