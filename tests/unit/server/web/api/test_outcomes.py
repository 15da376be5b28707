from __future__ import annotations

from typing import Any

import pytest

from scorehouse.journal.conflicts import add_conflicts
from scorehouse.stores.store import Key
from scorehouse.usecase import Task
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


def test_a_list_that_is_too_long_is_refused(door: Any) -> None:
    assert door.post("/outcomes", [outcome(1)] * 101).status_code == 413
