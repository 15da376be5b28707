from __future__ import annotations

from typing import Any

import orjson
import pytest
from werkzeug.test import Client

from scorehouse.journal.conflicts import add_conflicts
from scorehouse.stores.store import Key
from scorehouse.usecase import Task
from server.web.api import app
from server.web.api.outcomes import to_outcomes
from server.web.api.problems import Problem


def outcome(value: Any, id_: Any = "p1", **more: Any) -> dict[str, Any]:
    return {"prediction_id": id_, "outcome": value, **more}


@pytest.mark.parametrize(
    ("task", "value", "kept"),
    [
        ("binary", 1, 1.0),
        ("binary", False, 0.0),
        ("binary", 1.0, 1.0),
        ("amount", -2, -2.0),
        ("amount", 1.5, 1.5),
        ("ordinal", 6, 6.0),
        ("ordinal", 6.0, 6.0),
    ],
)
def test_what_really_happened_is_kept_as_a_number(task: Task, value: Any, kept: float) -> None:
    assert to_outcomes(outcome(value), task, 10) == [{"prediction_id": "p1", "outcome": kept}]


@pytest.mark.parametrize(
    ("task", "value"),
    [
        ("binary", 2),
        ("binary", 0.5),
        ("binary", "1"),
        ("binary", None),
        ("binary", [1]),
        ("amount", True),
        ("amount", "1"),
        ("amount", 1e16),
        ("amount", 2**64),
        ("ordinal", 6.5),
        ("ordinal", True),
        ("ordinal", {}),
    ],
)
def test_what_cannot_have_happened_is_refused(task: Task, value: Any) -> None:
    with pytest.raises(Problem, match="1 of 1 outcomes") as caught:
        to_outcomes(outcome(value), task, 10)
    assert caught.value.status == 422
    assert "outcome must be" in caught.value.members["errors"][0]["problem"]


@pytest.mark.parametrize("id_", ["", "x" * 129, "a b", "é", "a\n", 7, None])
def test_an_id_that_never_came_with_an_answer_is_refused(id_: Any) -> None:
    with pytest.raises(Problem) as caught:
        to_outcomes(outcome(1, id_), "binary", 10)
    assert "prediction_id" in caught.value.members["errors"][0]["problem"]


@pytest.mark.parametrize("body", [None, 7, "x", {}, {"prediction_id": "p"}, outcome(1, more=2)])
def test_what_is_no_outcome_is_told_what_one_is(body: Any) -> None:
    with pytest.raises(Problem) as caught:
        to_outcomes(body, "binary", 10)
    assert "with no other field" in caught.value.members["errors"][0]["problem"]


def test_a_list_is_taken_whole_or_not_at_all(door: Any) -> None:
    answer = door.post("/outcomes", [outcome(1), outcome(7, "p2"), outcome(0, "p3")])
    assert answer.status_code == 422
    assert answer.json["errors"] == [{"index": 1, "problem": "outcome must be 0 or 1 (or false or true)"}]
    assert door.journalled() == []


def test_accepted_outcomes_are_in_the_journal_before_the_answer_leaves(door: Any) -> None:
    answer = door.post("/outcomes", [outcome(1), outcome(0, "p2")])
    assert (answer.status_code, answer.json) == (202, {"accepted": 2})
    kept = [(line["kind"], line["prediction_id"], line["outcome"]) for line in door.journalled()]
    assert kept == [("outcome", "p1", 1.0), ("outcome", "p2", 0.0)]


def test_ids_whose_prediction_was_not_kept_are_named(door: Any) -> None:
    """The shipper found that their record came under an id of another one."""
    folder = door.settings.journal_folder
    folder.mkdir(parents=True)
    add_conflicts(folder, [Key("churn", "p2"), Key("wine", "p1")])
    answer = door.post("/outcomes", [outcome(1), outcome(0, "p2")])
    assert answer.json == {"accepted": 2, "conflicts": ["p2"]}
    add_conflicts(folder, [Key("churn", "p1")])
    assert door.post("/outcomes", outcome(1)).json == {"accepted": 1, "conflicts": ["p1"]}


def test_a_key_that_sends_too_many_outcomes_waits_and_nobody_else_does(
    door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "OUTCOMES_AT_ONCE", 100)
    settings = door.settings.http.model_copy(update={"outcomes_per_second": 10})
    client = Client(app.create_api(door.serving, door.deployment, settings).wsgi_app)

    def send(key: str | None, count: int) -> Any:
        body = orjson.dumps([outcome(1, f"p{n}") for n in range(count)])
        environ = {app.CALLER: key} if key else {}
        return client.post("/outcomes", data=body, content_type="application/json", environ_overrides=environ)

    assert send("flood", 90).status_code == 202
    refused = send("flood", 90)
    assert refused.status_code == 429
    assert "10 outcomes a second" in orjson.loads(refused.data)["detail"]
    assert 6 <= int(refused.headers["Retry-After"]) <= 8
    unread = client.post("/outcomes", data=b"[", content_type="text/x", environ_overrides={app.CALLER: "flood"})
    assert unread.status_code == 429  # it is not even looked at
    assert len(door.journalled()) == 90
    assert [send(key, 90).status_code for key in ("shop", None, None)] == [202, 202, 202]


def test_a_list_that_is_too_long_is_refused(door: Any) -> None:
    assert door.post("/outcomes", [outcome(1)] * 101).status_code == 413
