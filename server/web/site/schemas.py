"""JSON Schema of what the door accepts and answers: the components of /openapi.json."""

from __future__ import annotations

from typing import Any

from scorehouse.bundles.bundle import Manifest
from scorehouse.pages.records import example_record
from scorehouse.scoring.classes import CHANCES
from scorehouse.serving.serving import Model
from scorehouse.settings import HttpSettings
from scorehouse.usecase import Task
from server.web.api.tensors import DATATYPES, outputs
from server.web.site.explain import AS_ANSWERED, BEFORE_ROUNDING, LOG_CHANCE

Json = dict[str, Any]
RUN_ID: Json = {"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "The run whose model answered"}
ID: Json = {
    "type": "string",
    "minLength": 1,
    "maxLength": 128,
    "description": "The id of the stored prediction",
}
_TEXT, _ANY_TEXT = {"type": "string"}, {"type": ["string", "null"]}
_CHANCE: Json = {"type": "number", "minimum": 0, "maximum": 1, "description": "The chance, from 0 to 1"}
_ANSWERS: dict[Task, Json] = {
    "binary": _CHANCE,
    "amount": {"type": "number", "description": "The amount"},
    "ordinal": {"type": "number", "multipleOf": 1, "description": "The class"},
}
_OUTCOMES: dict[Task, Json] = {
    "binary": {"enum": [0, 1, False, True]},
    "amount": {"type": "number", "minimum": -1e15, "maximum": 1e15},
    "ordinal": {"type": "integer", "minimum": -(10**15), "maximum": 10**15},
}


_EXAMPLES: dict[Task, float] = {"binary": 1, "amount": 316.5, "ordinal": 6}


def ref(name: str) -> Json:
    """Return the reference to the component `name`."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas(model: Model, settings: HttpSettings) -> Json:
    """Return every component, for the serving model and the limits of the door."""
    manifest = model.bundle.manifest
    most = settings.max_records
    record = {
        **model.scorer.schema.json_schema(),
        "description": manifest.about,
        "examples": [example_record(model.bundle.features), example_record(model.bundle.features, optional=True)],
    }
    return {
        "Record": record,
        **_records(most),
        "Invocation": _invocation(),
        **_answers(manifest),
        **_outcomes(manifest, most),
        **_problems(),
        **_inference([t.name for t in outputs(model, [])]),
        "Readiness": _readiness(),
    }


def _records(most: int) -> Json:
    """One record, a list or lines. A list is answered if it is empty or has a good record; lines have a good one."""
    lines = {"type": "array", "maxItems": most, "contains": ref("Record"), "minItems": 1}
    return {"Records": {"anyOf": [ref("Record"), ref("Lines"), {"type": "array", "maxItems": 0}]}, "Lines": lines}


def example_outcome(manifest: Manifest) -> Any:
    """Return an outcome as a client may report it."""
    return manifest.classes[0] if manifest.classes else _EXAMPLES[manifest.task]


def _named(manifest: Manifest) -> Json:
    """The properties of an answer that say what is predicted."""
    if not manifest.classes:
        return {manifest.answer: _ANSWERS[manifest.task]}
    chances = _closed({str(name): _CHANCE for name in manifest.classes})
    about = {"description": "The chance of each class; they add up to 1"}
    return {
        manifest.answer: {"enum": manifest.classes, "description": "The likeliest class"},
        CHANCES: {**chances, **about},
    }


def _answers(manifest: Manifest) -> Json:
    bad = {"type": "object", "required": ["errors"], "properties": {"errors": _list(ref("FieldError"))}}
    names = {"type": "string", "description": "A feature, or one derived from them"}
    pushed = _closed({"feature": names, "value": {}, "contribution": {"type": "number"}})
    scale = {
        "enum": ["log-odds", "logarithm", LOG_CHANCE, BEFORE_ROUNDING, AS_ANSWERED],
        "description": "The scale on which base and contributions add up to the answer. Of ordered classes: the "
        "amount before it is rounded to a class. Of several classes: the logarithm of the answered class's chance, "
        "less the mean of the logarithms of all classes' chances",
    }
    named = _named(manifest)
    return {
        "Answer": _closed({**named, "model_run_id": RUN_ID, "prediction_id": ID}),
        "Answers": {"anyOf": [ref("Answer"), _list({"anyOf": [ref("Answer"), bad]})]},
        "Predictions": _closed({"predictions": _list(_closed(named) if manifest.classes else _ANSWERS[manifest.task])}),
        "Explanation": _closed(
            {
                **named,
                "model_run_id": RUN_ID,
                "prediction_id": ID,
                "scale": scale,
                "base": {"type": "number", "description": "The average answer, from which the contributions start"},
                "contributions": {**_list(pushed), "description": "Largest first"},
            }
        ),
    }


def _invocation() -> Json:
    """One of MLflow's formats (`inputs` takes rows or columns), or plain columns under the features' names."""
    columns = {"type": "array", "items": _TEXT, "uniqueItems": True}
    split = {"type": "object", "required": ["data"], "properties": {"columns": columns, "data": _list(_list({}))}}
    formats = {
        "dataframe_split": split,
        "dataframe_records": {"type": "array"},
        "instances": {"type": "array"},
        "inputs": {"type": ["array", "object"]},
    }
    named = {"type": "object", "minProperties": 1, "properties": formats}
    return {"anyOf": [named, {"type": "array", "description": "Records, or rows of values in the fields' order"}]}


def _outcomes(manifest: Manifest, most: int) -> Json:
    names = [*dict.fromkeys([*manifest.classes, *map(str, manifest.classes)])]  # also 3 as "3"
    outcome = {"enum": names} if manifest.classes else _OUTCOMES[manifest.task]
    id_ = {**ID, "pattern": "^[!-~]+$", "description": "The prediction_id that /predict returned"}
    kept = "Ids with which several records were answered: only the first is stored, and the outcome is for it"
    again = {**_list(_TEXT), "description": kept}
    return {
        "Outcome": _closed({"prediction_id": id_, "outcome": outcome}),
        "Outcomes": {"anyOf": [ref("Outcome"), {**_list(ref("Outcome")), "maxItems": most}]},
        "OutcomeLines": {**_list(ref("Outcome")), "minItems": 1, "maxItems": most},
        "Accepted": {
            **_closed({"accepted": {"type": "integer", "minimum": 0}, "conflicts": again}),
            "required": ["accepted"],
        },
    }


def _inference(names: list[str]) -> Json:
    """The objects of the Open Inference Protocol, version 2."""
    shape = {**_list({"type": "integer"}), "minItems": 1}
    about: Json = {"name": _TEXT, "datatype": {"enum": sorted(DATATYPES)}, "shape": shape}
    tensor: Json = {
        "type": "object",
        "required": list(about),
        "properties": {**about, "parameters": {"type": "object"}},
    }
    given = {**tensor, "properties": {**about, "parameters": {"type": "object"}, "data": {"type": "array"}}}
    described: Json = {"name": _TEXT, "versions": _list(_TEXT), "platform": _TEXT}
    described |= {side: _list(ref("InferenceTensor")) for side in ("inputs", "outputs")}
    answered = {"model_name": _TEXT, "model_version": RUN_ID, "outputs": _list(ref("InferenceData"))}
    inputs = {**_list(ref("InferenceData")), "minItems": 1}
    wanted = {"type": "object", "required": ["name"], "properties": {"name": {"enum": names}}}
    asked = {"id": _ANY_TEXT, "inputs": inputs, "outputs": {"anyOf": [_list(wanted), {"type": "null"}]}}
    return {
        "InferenceServer": {"type": "object", "required": ["name", "version", "extensions"]},
        "InferenceModel": _closed(described),
        "InferenceTensor": tensor,
        "InferenceData": {**given, "required": [*about]},
        "InferenceRequest": {"type": "object", "required": ["inputs"], "properties": asked},
        "InferenceResponse": {
            "type": "object", "required": list(answered), "properties": {**answered, "id": _TEXT},
        },
        "InferenceError": _closed({"error": _TEXT}),
    }  # fmt: skip


def _problems() -> Json:
    error = {"field": _TEXT, "value": {}, "problem": _TEXT, "allowed": _TEXT, "nearest": _TEXT}
    problem = {"type": {"const": "about:blank"}, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT}
    more = {"errors": {"type": "array"}, "records": {"type": "array"}}
    return {
        "FieldError": {**_closed(error), "required": ["field", "value", "problem", "allowed"]},
        "Problem": {"type": "object", "required": list(problem), "properties": {**problem, **more}},
    }


def _readiness() -> Json:
    known = {
        "status": {"enum": ["ready", "not ready"]},
        "problem": _ANY_TEXT,
        "use_case": _TEXT,
        "model_run_id": {**RUN_ID, "type": ["string", "null"]},
        "refused": _ANY_TEXT,
        "registry": _TEXT,
    }
    return {"type": "object", "required": list(known), "properties": known}


def _closed(properties: Json) -> Json:
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}
