"""What every route's answer is made with."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response

from scorehouse.serving.serving import Model, NotServing, Serving


def json_response(value: Any, status: int = 200) -> Response:
    """Return `value` as JSON."""
    return Response(orjson.dumps(value), status, mimetype="application/json")


def serving_model(serving: Serving) -> Model:
    """Return the model that serves. Raises NotServing."""
    if serving.model is None:
        raise NotServing("no model is loaded yet: set RUN_ID and run `make start-serve`")
    return serving.model
