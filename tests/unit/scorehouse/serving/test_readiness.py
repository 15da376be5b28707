"""One definition of readiness: what a door says when it cannot answer, the most important thing first."""

from __future__ import annotations

from pathlib import Path

import pytest

from scorehouse.errors import JournalError, UseCaseError
from scorehouse.serving.deployment import Status
from scorehouse.serving.process import open_serving
from scorehouse.serving.readiness import problem, readiness
from scorehouse.serving.serving import NO_MODEL, Model, Serving
from scorehouse.settings import ServingSettings
from tests.unit.toy import RUN_ID, Toy


@pytest.fixture
def serving(toy: Toy, tmp_path: Path) -> Serving:
    _, serving, _ = open_serving(ServingSettings(data_folder=tmp_path), "test")
    bundle = toy.bundle()
    serving.model = Model(bundle, bundle.scorer(toy.use_case))
    return serving


def test_a_door_with_a_model_and_a_journal_is_ready(serving: Serving) -> None:
    about = readiness(serving, Status("answers"))
    assert about == {
        "status": "ready",
        "problem": None,
        "use_case": "churn",
        "model_run_id": RUN_ID,
        "refused": None,
        "registry": "answers",
    }


def test_what_is_missing_is_named_the_most_important_first(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise JournalError("the disk is full")

    assert problem(serving, Status(), "predictions: gone") == "predictions: gone"
    monkeypatch.setattr(serving.journal, "check", full)
    assert problem(serving, Status(), "predictions: gone") == "the disk is full"
    serving.model = None
    assert problem(serving, Status(), "predictions: gone") == NO_MODEL
    assert readiness(serving, Status())["status"] == "not ready"


def test_a_door_without_a_model_says_why_where_that_is_known(serving: Serving) -> None:
    serving.model = None
    assert problem(serving, Status("answers", refused="run a is damaged")) == "run a is damaged"
    assert problem(serving, Status("answers", missing="no model named churn")) == "no model named churn"
    assert readiness(serving, Status("answers", missing="no model named churn"))["refused"] is None
    down = Status("MLflow at here:1 is not responding", registry_up=False)
    assert problem(serving, down) == "no model is loaded yet: MLflow at here:1 is not responding"


def test_a_run_that_is_refused_leaves_a_door_ready_that_serves_another(serving: Serving) -> None:
    about = readiness(serving, Status("answers", refused="run b is damaged"))
    assert (about["status"], about["refused"]) == ("ready", "run b is damaged")


def test_nothing_is_opened_for_a_use_case_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UseCaseError, match="no_such_page"):
        open_serving(ServingSettings(use_case="no_such_page", data_folder=tmp_path / "data"), "test")
    assert not (tmp_path / "data").exists()
