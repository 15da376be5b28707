from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
import pytest

from scorehouse.errors import JournalError
from scorehouse.scoring.schema import FieldError, Rejected
from server.web.api.problems import PROBLEM_TYPE, Problem, refusal


def test_a_problem_is_an_rfc_9457_document_with_its_own_members() -> None:
    document = orjson.loads(Problem(HTTPStatus.NOT_FOUND, "no such thing", hint=3).to_bytes())
    assert document == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "no such thing",
        "hint": 3,
    }


def test_a_refusal_names_every_field_and_its_reason_without_the_value_in_the_sentence() -> None:
    errors = (FieldError("age", 7, "is not allowed", "a number"), FieldError("agge", 1, "is unknown", "a field", "age"))
    problem = refusal(Rejected(errors))
    assert problem.status == 422
    assert problem.detail == "the record cannot be scored: age: is not allowed; agge: is unknown"
    assert problem.members["errors"][1]["nearest"] == "age"


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/predict", 405, "POST"),
        ("DELETE", "/predict", 405, "POST"),
        ("OPTIONS", "/healthz", 405, "GET, HEAD"),
        ("GET", "/invocations", 405, "POST"),
        ("POST", "/", 405, "GET, HEAD"),
        ("GET", "/nowhere", 404, None),
        ("POST", "/predict/", 404, None),
        ("GET", "/static/nothing.js", 404, None),
        ("GET", "/static/../app.py", 404, None),
    ],
)
def test_wrong_methods_and_unknown_routes_are_problems_too(
    door: Any, method: str, path: str, status: int, allow: str | None
) -> None:
    answer = door.client.open(path, method=method)
    assert (answer.status_code, answer.headers.get("Allow")) == (status, allow)
    assert answer.content_type == PROBLEM_TYPE
    assert answer.json["status"] == status


POSTS = ["/predict", "/invocations", "/outcomes", "/explain"]


@pytest.mark.parametrize("path", POSTS)
def test_while_no_model_serves_every_route_that_needs_one_says_when_to_come_back(empty_door: Any, path: str) -> None:
    answer = empty_door.post(path, {"prediction_id": "p", "outcome": 1})
    assert (answer.status_code, answer.content_type) == (503, PROBLEM_TYPE)
    assert answer.headers["Retry-After"] == "2"
    assert "make start-serve" in answer.json["detail"]


class FullDisk:
    def append(self, lines: bytes) -> None:
        raise JournalError("the prediction journal cannot be written: the disk is full")

    def check(self) -> None:
        self.append(b"")


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/outcomes"])
def test_what_cannot_be_written_down_is_not_answered(door: Any, toy_records: list[Any], path: str) -> None:
    door.serving.journal = FullDisk()
    body = {"prediction_id": "p", "outcome": 1} if path == "/outcomes" else toy_records[0]
    answer = door.post(path, body)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json["detail"].endswith("the disk is full")
    assert "churn chance" not in answer.text
    assert door.client.get("/readyz").status_code == 503


@pytest.mark.parametrize("path", POSTS)
def test_a_fault_of_our_own_is_a_problem_without_its_innards(
    door: Any, toy_records: list[Any], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    for name in ("answer", "accept_outcomes"):
        monkeypatch.setattr(door.serving, name, broken)
    monkeypatch.setattr("server.web.site.explain.Explainer.require_trees", broken)
    body = {"prediction_id": "p", "outcome": 1} if path == "/outcomes" else toy_records[0]
    answer = door.post(path, body)
    assert (answer.status_code, answer.content_type) == (500, PROBLEM_TYPE)
    assert "secret" not in answer.text
    counted = door.client.get("/metrics").text
    assert f'scorehouse_http_requests_total{{route="{path}",status="500"}}' in counted


def test_requests_are_counted_by_route_never_by_the_path_that_was_asked(door: Any) -> None:
    door.client.get("/nowhere/of-a-customer")
    assert "of-a-customer" not in door.client.get("/metrics").text
