"""The Open Inference Protocol, version 2, over REST, as KServe, Triton and MLServer speak it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import wraps
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request

from scorehouse.errors import JournalError
from scorehouse.scoring.schema import Rejected
from scorehouse.serving.deployment import Deployment
from scorehouse.serving.readiness import readiness
from scorehouse.serving.serving import Answer, Model, NotServing, Serving
from scorehouse.settings import HttpSettings
from server.web.api import tensors
from server.web.api.answers import json_response
from server.web.api.bodies import JSON, parse, read_body
from server.web.api.problems import Problem

BINARY = "application/octet-stream"
JSON_LENGTH = "HTTP_INFERENCE_HEADER_CONTENT_LENGTH"  # how many bytes of the body are JSON; binary tensors follow
EXTENSIONS = ["binary_tensor_data"]
_SHOWN = 20  # refused records that an error describes
Route = Callable[..., Response]


def add_inference(
    app: Flask, serving: Serving, deployment: Deployment, settings: HttpSettings, caller: Callable[[], str | None]
) -> None:
    """Add the routes below /v2. `caller` names who sent the request."""

    def is_ready() -> bool:
        return not readiness(serving, deployment.status)["problem"]

    @_route(app, "/v2")
    def server() -> Response:
        return json_response({"name": "scorehouse", "version": "2", "extensions": EXTENSIONS})

    @_route(app, "/v2/health/live")
    def live() -> Response:
        return json_response({"live": True})

    @_route(app, "/v2/health/ready")
    def ready() -> Response:
        return json_response({"ready": is_ready()}, 200 if is_ready() else 503)

    @_route(app, "/v2/models/<name>")
    @_route(app, "/v2/models/<name>/versions/<version>")
    def describe(name: str, version: str | None = None) -> Response:
        return json_response(tensors.metadata(require(serving, name, version)))

    @_route(app, "/v2/models/<name>/ready")
    @_route(app, "/v2/models/<name>/versions/<version>/ready")
    def model_ready(name: str, version: str | None = None) -> Response:
        require(serving, name, version)
        return json_response({"name": name, "ready": is_ready()}, 200 if is_ready() else 503)

    @_route(app, "/v2/models/<name>/infer", "POST")
    @_route(app, "/v2/models/<name>/versions/<version>/infer", "POST")
    def infer(name: str, version: str | None = None) -> Response:
        model = require(serving, name, version)
        asked, binary = _request(settings)
        given, offset = [], 0
        inputs = asked.get("inputs")
        if not isinstance(inputs, list):
            raise Problem(HTTPStatus.BAD_REQUEST, "the request must have inputs: an array of tensors")
        for one in inputs:
            tensor, offset = tensors.from_json(one, binary, offset)
            given.append(tensor)
        records = tensors.records(given, model.bundle.features, settings.max_records)
        answers = answer_all(serving, model, records, asked.get("id"), caller())
        shown = choose(tensors.outputs(model, answers), _asked(asked.get("outputs")))
        body = {"model_name": name, "model_version": model.run_id, "outputs": [tensors.to_json(t) for t in shown]}
        return json_response({**body, "id": asked["id"]} if asked.get("id") is not None else body)


def require(serving: Serving, name: str, version: str | None) -> Model:
    """Return the serving model if it is the one that is asked for.

    Raises:
        NotServing: no model is loaded yet.
        Problem: 404 for another model, or another version than the serving run.
    """
    model = serving.require_model()
    if name != serving.use_case:
        raise Problem(HTTPStatus.NOT_FOUND, f"there is no model {name[:80]!r}; this scorer has {serving.use_case!r}")
    if version not in {None, model.run_id}:
        raise Problem(HTTPStatus.NOT_FOUND, f"the version {str(version)[:80]!r} is not served; {model.run_id!r} is")
    return model


def answer_all(serving: Serving, model: Model, records: list[Any], id_: Any, caller: str | None) -> list[Answer]:
    """Return the answer to every record, journalled. A request's `id_` is the prediction_id of its record.

    Of several records, each gets the id with its place. Raises Problem (400) if one of them cannot be scored, and then
    none is answered.
    """
    if id_ is not None and not isinstance(id_, str):
        raise Problem(HTTPStatus.BAD_REQUEST, "the id of a request must be text")
    if id_:
        ids = [id_] if len(records) == 1 else [f"{id_}:{place}" for place in range(len(records))]
        records = [
            {tensors.PREDICTION_ID: own, **record} if isinstance(record, dict) else record
            for own, record in zip(ids, records, strict=True)
        ]
    answers = serving.answer(records, all_or_none=True, model=model, caller=caller)
    refused = [(place, a) for place, a in enumerate(answers) if isinstance(a, Rejected)]
    if refused:
        said = "; ".join(f"record {place}: {a.reason}" for place, a in refused[:_SHOWN])
        more = f"; and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"{len(refused)} of {len(records)} records cannot be scored: {said}{more}"
        )
    return [a for a in answers if isinstance(a, Answer)]


def _request(settings: HttpSettings) -> tuple[dict[str, Any], bytes]:
    """Return the JSON of a request and the binary tensors behind it."""
    content = read_body(request.environ, settings.max_body_bytes, (JSON, BINARY)).content
    said = request.environ.get(JSON_LENGTH, "")
    if said and not (re.fullmatch("[0-9]{1,18}", said) and int(said) <= len(content)):
        raise Problem(HTTPStatus.BAD_REQUEST, "Inference-Header-Content-Length is not the length of the JSON")
    length = int(said) if said else len(content)
    value = parse(content[:length], settings.max_records)
    if not isinstance(value, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "the request must be a JSON object with inputs")
    return value, content[length:]


def _asked(wanted: Any) -> list[Any]:
    """Return the names in a request's `outputs`."""
    if wanted is None:
        return []
    return (
        [one.get("name") if isinstance(one, dict) else None for one in wanted] if isinstance(wanted, list) else [None]
    )


def choose(outputs: list[tensors.Tensor], names: Sequence[Any]) -> list[tensors.Tensor]:
    """Return the outputs of these names; all if there are no names. Raises Problem (400) for an unknown one."""
    by_name = {tensor.name: tensor for tensor in outputs}
    for name in names:
        if not isinstance(name, str) or name not in by_name:
            raise Problem(
                HTTPStatus.BAD_REQUEST, f"there is no output {str(name)[:80]!r}; there are {', '.join(by_name)}"
            )
    return [by_name[name] for name in dict.fromkeys(names)] if names else outputs


def _route(app: Flask, path: str, method: str = "GET") -> Callable[[Route], Route]:
    """Add a route whose errors are as the protocol has them: {"error": …}."""

    def add(function: Route) -> Route:
        @wraps(function)
        def answer(**arguments: Any) -> Response:
            try:
                return function(**arguments)
            except Problem as problem:
                response = json_response({"error": problem.detail}, problem.status)
            except (NotServing, JournalError) as error:
                response = json_response({"error": str(error)}, HTTPStatus.SERVICE_UNAVAILABLE)
                response.headers["Retry-After"] = "2"
            return response

        app.add_url_rule(path, f"{function.__name__} {path}", answer, methods=[method])
        return function

    return add
