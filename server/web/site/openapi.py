"""GET /openapi.json: every route of the door as OpenAPI 3.1, taken from the manifest of the serving model."""

from __future__ import annotations

from typing import Any

from scorehouse.pages.records import example_record
from scorehouse.serving.serving import Model
from scorehouse.settings import HttpSettings
from server.web.api.bodies import CSV, JSON, LINES, NDJSON
from server.web.api.problems import PROBLEM_TYPE
from server.web.api.tensors import metadata
from server.web.site.examples import TEST
from server.web.site.schemas import example_outcome, ref, schemas

Json = dict[str, Any]
_TEXT: Json = {"schema": {"type": "string"}}
_WHY = {
    "400": "The body is not JSON, contains a field twice, or is not in the coding or charset that its headers name",
    "404": "This model's predictions cannot be explained",
    "405": "The route has other methods: see the Allow header",
    "406": "The Accept header names no format of this route",
    "409": "The prediction_id was used for another record: send this record with a new id",
    "413": "The body has too many bytes, as it is sent or decompressed, or the list too many records",
    "415": "The body has another Content-Type, charset or Content-Encoding than those that are read",
    "422": "Nothing in the body can be accepted: every invalid field is listed with the allowed values",
    "429": "This key sends outcomes faster than OUTCOMES_PER_SECOND: try again after Retry-After",
    "503": "No model is loaded yet, or the journal cannot be written: try again after Retry-After",
}
_INFERENCE_WHY = {
    "400": "The inputs cannot be read, or a record cannot be scored: nothing was answered",
    "404": "There is no such model, or another version of it is served",
}
_BODY = ("400", "405", "406", "413", "415", "422", "503")
_READ = (
    "A body may be compressed, with Content-Encoding: gzip, deflate or zstd, and in the charset that its Content-Type "
    "names. NaN in JSON is null. JSON lines are one JSON value per line, and are answered with a line for each, unless "
    "Accept asks for application/json."
)
_RETRY: Json = {"Retry-After": {"required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}}
_HEADERS = {
    "405": {"Allow": {"required": True, "schema": {"type": "string"}}},
    "415": {"Accept-Encoding": {"schema": {"type": "string"}}},
    "429": _RETRY,
    "503": _RETRY,
}


def openapi(model: Model, settings: HttpSettings) -> Json:
    """Return the document for `model` and the limits of `settings`."""
    manifest = model.bundle.manifest
    return {
        "openapi": "3.1.0",
        "info": {
            "title": manifest.title,
            "version": f"{manifest.use_case}.{manifest.use_case_version}",
            "description": f"{manifest.about} Served by run {manifest.run_id}; /docs is a readable version. {_READ}",
        },
        "paths": {**_scoring(model), **_inference(model), **_pages(), **_operations()},
        "components": {"schemas": schemas(model, settings)},
    }


def _scoring(model: Model) -> Json:
    example = {**example_record(model.bundle.features), **TEST}
    columns = {name: [value] for name, value in example.items()}
    complete = {**example_record(model.bundle.features, optional=True), **TEST}
    many = {"summary": "Several records", "value": [example, complete]}
    outcome = {"prediction_id": "0" * 32, "outcome": example_outcome(model.bundle.manifest)}
    return {
        "/predict": _post(
            "predict",
            "One record gets one answer; a list gets a list, in order, with errors in place of each invalid record.",
            {"one": {"summary": "One record", "value": example}, "many": many},
            "Records", ("200", "Answers"), (*_BODY, "409"),
            lines={"schema": ref("Lines"), "examples": {"lines": {"value": [example, complete]}}},
        ),
        "/explain": _post(
            "explain",
            "One record's prediction and what moved it up or down. Send the prediction_id of /predict, and both are "
            "logged as one prediction.",
            {"one": {"value": example}},
            "Record", ("200", "Explanation"), (*_BODY, "404", "409"),
        ),
        "/invocations": _post(
            "invocations",
            "MLflow's scoring protocol, lists of records, and plain columns; one invalid record rejects all. A table "
            "in text/csv begins with the column names; in `text/csv; header=absent` it does not, and its columns are "
            "the model's fields, as Record lists them. Accept: text/csv is answered with a prediction per line.",
            {"records": {"value": {"dataframe_records": [example]}}, "columns": {"value": columns}},
            "Invocation", ("200", "Predictions"), _BODY,
            lines={"schema": {"type": "array"}, "examples": {"lines": {"value": [example, complete]}}},
            table=_table([example, complete]),
        ),
        "/outcomes": _post(
            "outcomes",
            "What really happened. A later outcome corrects an earlier one; one invalid outcome rejects all.",
            {"one": {"value": outcome}, "many": {"value": [outcome]}},
            "Outcomes", ("202", "Accepted"), (*_BODY, "429"),
            lines={"schema": ref("OutcomeLines"), "examples": {"lines": {"value": [outcome]}}},
        ),
    }  # fmt: skip


def _inference(model: Model) -> Json:
    """The Open Inference Protocol's routes. Its own document describes the tensors in full."""
    example = example_record(model.bundle.features)
    names = [(one["name"], one["datatype"]) for one in metadata(model)["inputs"] if one["name"] in example]
    inputs = [{"name": n, "datatype": t, "shape": [1], "data": [example[n]]} for n, t in names]
    asked = {"id": "my-id", "inputs": inputs}
    paths: Json = {
        "/v2": _get("/v2", "The Open Inference Protocol, version 2: this server", _json(ref("InferenceServer"))),
        "/v2/health/live": _get("/v2/health/live", "The process is alive", _json({"type": "object"})),
        "/v2/health/ready": _health("health_ready", "A model is served, and its predictions can be kept"),
    }
    for prefix in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        parameters = [
            {"name": n, "in": "path", "required": True, "schema": {"type": "string"}, "example": value}
            for n, value in (("name", model.bundle.manifest.use_case), ("version", model.run_id))
            if f"{{{n}}}" in prefix
        ]
        kind = "version" if "version" in prefix else "model"
        about = "The model's inputs and outputs: name, datatype and shape"
        described = _get(f"{kind}_metadata", about, _json(ref("InferenceModel")))["get"]
        described["responses"] |= {status: _inference_error(status) for status in ("404", "503")}
        paths[prefix] = {"get": {**described, "parameters": parameters}}
        ready = _health(f"{kind}_ready", "Whether the model answers")["get"]
        ready["responses"] |= {"404": _inference_error("404")}
        paths[f"{prefix}/ready"] = {"get": {**ready, "parameters": parameters}}
        paths[f"{prefix}/infer"] = {
            "post": {
                "operationId": f"{kind}_infer",
                "description": "A tensor for each field with a value per row, or one tensor `record` of BYTES whose "
                "elements are records as JSON. The id of a request is the prediction_id of its record; of several "
                "records, each gets it with its place. One invalid record rejects all. With Triton's "
                "binary tensors behind the JSON, the body is application/octet-stream.",
                "parameters": parameters,
                "requestBody": {
                    "required": True,
                    "content": {
                        JSON: {"schema": ref("InferenceRequest"), "examples": {"one": {"value": asked}}},
                    },
                },
                "responses": {
                    "200": {"description": "The answers as tensors", "content": _json(ref("InferenceResponse"))},
                    **{status: _inference_error(status) for status in ("400", "404", "413", "415", "503")},
                },
            }
        }
    return paths


def _health(operation: str, about: str) -> Json:
    found = _get(operation, about, _json({"type": "object"}))
    found["get"]["responses"]["503"] = {"description": "Not ready", "content": _json({"type": "object"})}
    return found


def _inference_error(status: str) -> Json:
    why = _INFERENCE_WHY.get(status, _WHY.get(status, ""))
    return {"description": why, "content": _json(ref("InferenceError"))}


def _pages() -> Json:
    html: Json = {"text/html": {"schema": {"type": "string"}}}
    about: dict[str, tuple[str, Json, bool]] = {
        "/": ("A form to try the model", html, True),
        "/docs": ("The readable documentation", html, True),
        "/openapi.json": ("This document", _json({"type": "object"}), False),
        "/example": (
            "A random record that takes each field from a different row",
            _json(ref("Record")),
            False,
        ),
    }
    return {path: _get(path, *what) for path, what in about.items()}


def _operations() -> Json:
    ready = _json(ref("Readiness"))
    metrics = {"text/plain": {"schema": {"type": "string"}}}
    alive = _json({"type": "object", "properties": {"status": {"const": "alive"}}, "required": ["status"]})
    paths: Json = {
        "/healthz": _get("/healthz", "The process is alive", alive),
        "/metrics": _get("/metrics", "Metrics for Prometheus", metrics),
    }
    for path in ("/readyz", "/ping"):
        paths[path] = _get(path, "A model is loaded and the journal can be written", ready)
        not_ready = {"description": "Not ready: `problem` says why", "content": ready}
        paths[path]["get"]["responses"]["503"] = not_ready
    return paths


def _post(
    name: str,
    about: str,
    examples: Json,
    body: str,
    answer: tuple[str, str],
    problems: tuple[str, ...],
    lines: Json | None = None,
    table: Json | None = None,
) -> Json:
    """`lines` and `table` describe bodies of JSON lines and CSV, where the route reads them."""
    status, schema = answer
    content = {JSON: {"schema": ref(body), "examples": examples}}
    answers = _json(ref(schema))
    if lines is not None:
        content |= dict.fromkeys((LINES, NDJSON), lines)
        answers |= {} if status == "202" else dict.fromkeys((LINES, NDJSON), _TEXT)
    if table is not None:
        content[CSV] = table
        answers[CSV] = _TEXT
    answered = {status: {"description": "Accepted" if status == "202" else "Answered", "content": answers}}
    return {
        "post": {
            "operationId": name,
            "description": about,
            "requestBody": {"required": True, "content": content},
            "responses": answered | {code: _problem(code) for code in problems},
        }
    }


def _get(path: str, about: str, content: Json, page: bool | None = None) -> Json:
    """`page`: the route needs a model, and without one answers a page (True) or a problem (False)."""
    responses: Json = {"200": {"description": about, "content": content}, "405": _problem("405")}
    if page is not None:
        responses["503"] = {**_problem("503"), **({"content": content} if page else {})}
    operation = path.strip("/").replace(".", "_") or "form"
    return {"get": {"operationId": operation, "description": about, "responses": responses}}


def _problem(status: str) -> Json:
    content = {PROBLEM_TYPE: {"schema": ref("Problem")}}
    return {"description": _WHY[status], "content": content, "headers": _HEADERS.get(status, {})}


def _table(records: list[Json]) -> Json:
    names = dict.fromkeys(name for record in records for name in record)
    lines = [",".join(names), *(",".join(str(record.get(name, "")) for name in names) for record in records)]
    return {**_TEXT, "examples": {"table": {"value": "\n".join(lines)}}}


def _json(schema: Json) -> Json:
    return {JSON: {"schema": schema}}
