"""A use case's page: what it refuses, what it tells people, and how it is found."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scorehouse.errors import UseCaseError
from scorehouse.usecase import Feature, UseCase, load_use_case


@pytest.fixture(scope="module")
def churn() -> UseCase:
    return load_use_case("churn")


def test_a_use_case_is_found_by_its_name(churn: UseCase) -> None:
    assert churn.name == "churn"
    assert [f.name for f in churn.columns] == [f.name for f in churn.features]


def test_an_unknown_use_case_is_named_with_the_file_that_is_missing() -> None:
    with pytest.raises(UseCaseError, match=r"'nowhere', but there is no use_cases/nowhere\.py"):
        load_use_case("nowhere")


def test_a_page_without_a_use_case_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty_page.py").write_text('"""Nothing."""\n')
    monkeypatch.setattr(sys.modules["use_cases"], "__path__", [str(tmp_path)])
    with pytest.raises(UseCaseError, match="declares no `use_case"):
        load_use_case("empty_page")


def test_what_a_page_fails_to_import_is_not_taken_for_a_missing_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken_page.py").write_text("import no_such_library\n")
    monkeypatch.setattr(sys.modules["use_cases"], "__path__", [str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        load_use_case("broken_page")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"features": (Feature(name="age", kind="integer", help=""),) * 2}, "fields declared twice: age"),
        ({"inputs": ("customer_age", "agee")}, "undeclared inputs: agee"),
        ({"features": (Feature(name="colour", kind="category", help=""),)}, "fields without categories: colour"),
    ],
)
def test_a_page_that_contradicts_itself_is_refused_with_the_reason(
    churn: UseCase, change: dict[str, object], fault: str
) -> None:
    with pytest.raises(UseCaseError, match=fault):
        replace(churn, **change)


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        (Feature(name="a", kind="integer", help="", low=18, high=120), "a whole number from 18 to 120, or null"),
        (Feature(name="a", kind="number", help="", low=0.5, nullable=False), "a number from 0.5"),
        (Feature(name="a", kind="category", help="", categories=("M", "F", 3)), "one of 'M', 'F', 3, or null"),
        (Feature(name="a", kind="number", help="", high=10_000_000, nullable=False), "a number to 10,000,000"),
    ],
)
def test_what_is_allowed_is_said_in_words(feature: Feature, words: str) -> None:
    assert feature.allowed == words


def test_inputs_choose_and_order_the_models_columns(churn: UseCase) -> None:
    chosen = replace(churn, inputs=("gender", "customer_age"))
    assert [f.name for f in chosen.columns] == ["gender", "customer_age"]
