"""How routes answer in JSON."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response


def json_response(value: Any, status: int = 200) -> Response:
    """Return `value` as JSON."""
    return Response(orjson.dumps(value), status, mimetype="application/json")
