from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from scorehouse.pages.loading import load_use_case
from server.web.site.openapi import openapi

Json = dict[str, Any]
POSTS = ["/predict", "/explain", "/invocations", "/outcomes"]


@pytest.fixture
def document(door: Any) -> Json:
    found: Json = door.client.get("/openapi.json").json
    return found


def validator(document: Json, schema: Json) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document["components"]})


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def schema_of(document: Json, path: str, method: str, answer: Any) -> Json:
    content = document["paths"][path][method]["responses"][str(answer.status_code)]["content"]
    found: Json = content[answer.content_type.partition(";")[0]]["schema"]
    return found


def test_the_document_is_of_this_model(document: Json, door: Any) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"] == load_use_case("churn").title
    assert door.serving.model.run_id in document["info"]["description"]
    record = document["components"]["schemas"]["Record"]
    assert {f.name for f in door.serving.model.bundle.features} < set(record["properties"])


def test_every_schema_in_it_is_a_schema_and_every_reference_resolves(document: Json) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
        list(validator(document, schema).iter_errors({"no": "such thing"}))


def test_every_route_of_the_door_is_documented_with_its_methods_and_no_other(document: Json, door: Any) -> None:
    documented = {(path, method.upper()) for path, method, _ in operations(document)}
    routes = {
        (rule.rule.replace("<", "{").replace(">", "}"), method)
        for rule in door.client.application.__self__.url_map.iter_rules()
        for method in rule.methods - {"HEAD"}
        if rule.endpoint != "site.static"
    }
    assert documented == routes | {("/predict", "POST")}


def test_operations_have_names_of_their_own(document: Json) -> None:
    names = [operation["operationId"] for *_, operation in operations(document)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", POSTS)
def test_a_posted_body_may_be_refused_in_every_documented_way(document: Json, path: str) -> None:
    responses = document["paths"][path]["post"]["responses"]
    success = "202" if path == "/outcomes" else "200"
    wanted = {success, "400", "405", "406", "413", "415", "422", "503"} | {
        "/explain": {"404", "409"},
        "/predict": {"409"},
        "/outcomes": {"429"},
    }.get(path, set())
    assert set(responses) == wanted
    assert all("application/problem+json" in responses[s]["content"] for s in wanted - {success})


@pytest.mark.parametrize("path", [p for p in POSTS if p != "/explain"])  # its own tests have trees to explain by
def test_every_example_is_valid_and_works(document: Json, door: Any, path: str) -> None:
    content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    examples = [e["value"] for e in content["examples"].values()]
    assert examples
    for example in examples:
        validator(document, content["schema"]).validate(example)
        answer = door.post(path, example)
        assert answer.status_code in {200, 202}
        validator(document, schema_of(document, path, "post", answer)).validate(answer.json)
    predictions = [line for line in door.journalled() if line["kind"] == "prediction"]
    assert all(line.get("test") for line in predictions)  # who tries an example changes no figure


BAD: list[tuple[str, Any, int]] = [
    *((path, b"", 400) for path in POSTS),
    *((path, b"x" * 200_001, 413) for path in POSTS),
    ("/predict", {}, 422),
    ("/predict", 7, 422),
    ("/predict", [{}, 7], 422),
    ("/predict", [{}] * 101, 413),
    ("/explain", [], 422),
    ("/invocations", {"instances": [{}]}, 422),
    ("/invocations", 7, 422),
    ("/outcomes", {"prediction_id": "p", "outcome": 2}, 422),
]


@pytest.mark.parametrize(("path", "body", "status"), BAD)
def test_every_refusal_is_as_documented(document: Json, door: Any, path: str, body: Any, status: int) -> None:
    answer = door.post(path, body)
    assert answer.status_code == status
    validator(document, schema_of(document, path, "post", answer)).validate(answer.json)


def test_what_the_schema_refuses_and_accepts_is_what_the_door_does(
    document: Json, door: Any, toy_records: list[Json]
) -> None:
    good = toy_records[0]
    changes: list[Json] = [
        {},
        {"customer_age": None},
        {"customer_age": 50.0},
        {"customer_age": 50.5},
        {"customer_age": 1e-10},
        {"customer_age": True},
        {"customer_age": "50"},
        {"customer_age": 17},
        {"customer_age": 121},
        {"gender": "unknown"},
        {"gender": "m"},
        {"gender": True},
        {"credit_limit": -1},
        {"credit_limit": 1e300},
        {"education_level": 6},
        {"prediction_id": ""},
        {"prediction_id": "a b"},
        {"prediction_id": "x" * 129},
        {"prediction_id": None},
        {"customer_id": 7},
        {"customer_id": 7.0},
        {"customer_id": 7.5},
        {"customer_id": 2**63},
        {"customer_id": -(2**63)},
        {"customer_id": None},
        {"customer_id": []},
        {"nothing": 1},
    ]
    check = validator(document, {"$ref": "#/components/schemas/Records"})
    for body in [
        *({**good, **change} for change in changes),
        {k: v for k, v in good.items() if k != "gender"},
        [good, 7],
    ]:
        assert check.is_valid(body) == (door.post("/predict", body).status_code == 200), body


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/ping", "/metrics", "/openapi.json", "/example", "/", "/docs"]
)
@pytest.mark.parametrize("serves", [True, False])
def test_what_is_got_is_as_documented_whether_a_model_serves_or_not(
    document: Json, door: Any, path: str, serves: bool
) -> None:
    if not serves:
        door.serving.model = None
    answer = door.client.get(path)
    assert answer.status_code == (200 if serves or path in {"/healthz", "/metrics"} else 503)
    value = answer.json if answer.is_json else answer.text
    validator(document, schema_of(document, path, "get", answer)).validate(value)


@pytest.mark.parametrize(("task", "good", "bad"), [("amount", 316.5, "x"), ("ordinal", 6, 6.5)])
def test_answers_and_outcomes_are_those_of_the_task(door: Any, task: str, good: Any, bad: Any) -> None:
    made = door.serving.model.bundle.manifest
    door.serving.model.bundle.manifest = made.model_copy(update={"task": task})
    try:
        document = openapi(door.serving.model, door.settings)
    finally:
        door.serving.model.bundle.manifest = made
    outcome = document["paths"]["/outcomes"]["post"]["requestBody"]["content"]["application/json"]
    check = validator(document, outcome["schema"])
    assert check.is_valid(outcome["examples"]["one"]["value"])
    assert check.is_valid({"prediction_id": "p", "outcome": good})
    assert not check.is_valid({"prediction_id": "p", "outcome": bad})
