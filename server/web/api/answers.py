"""How routes answer: in JSON, JSON lines or CSV, as the client's Accept header asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from flask import Response, request
from werkzeug.datastructures import MIMEAccept

from server.web.api.problems import Problem


def choose_media(*offered: str) -> str:
    """Return the media type of `offered` that this request's Accept header prefers, the first of equals.

    Raises:
        Problem: 406 if it accepts none of them.
    """
    best = best_media(request.accept_mimetypes, offered)
    if best is None:
        raise Problem(HTTPStatus.NOT_ACCEPTABLE, f"this route answers in {' or '.join(dict.fromkeys(offered))}")
    return best


def best_media(accept: MIMEAccept, offered: Sequence[str]) -> str | None:
    """Return the media type of `offered` that `accept` prefers, the first of equals; None if it accepts none."""
    # Without parameters, which would have to be equal: a charset, or the version of a protocol.
    accepted = MIMEAccept([(media.partition(";")[0].strip(), quality) for media, quality in accept])
    return accepted.best_match(offered) if accepted else offered[0]


def json_response(value: Any, status: int = 200) -> Response:
    """Return `value` as JSON."""
    return Response(orjson.dumps(value), status, mimetype="application/json")


def lines_response(values: Iterable[Any], media: str) -> Response:
    """Return each of `values` as JSON on a line of its own."""
    return Response(b"".join(orjson.dumps(v, option=orjson.OPT_APPEND_NEWLINE) for v in values), mimetype=media)
