"""A use case's page: what it refuses, what it tells people, and how it is found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scorehouse.errors import UseCaseError
from scorehouse.pages.loading import load_use_case
from scorehouse.usecase import Feature, UseCase


@pytest.fixture(scope="module")
def churn() -> UseCase:
    return load_use_case("churn")


def test_a_use_case_is_found_by_its_name(churn: UseCase) -> None:
    assert churn.name == "churn"
    assert [f.name for f in churn.columns] == [f.name for f in churn.features]


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        ({"a": [1], "b": [1, 2]}, r"returns columns of different lengths: \{'a': 1, 'b': 2\}"),
        (None, "returns NoneType, not a dict of columns"),
    ],
)
def test_a_sample_without_columns_of_one_length_is_refused(churn: UseCase, drawn: Any, words: str) -> None:
    with pytest.raises(UseCaseError, match=rf"^use_cases/churn\.py: sample\(9, 1, 0\) {words}"):
        replace(churn, sample=lambda *_: drawn).draw_sample(9, 1)


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        (Feature(name="a", kind="integer", help="", low=18, high=120), "a whole number from 18 to 120, or null"),
        (Feature(name="a", kind="number", help="", low=0.5, nullable=False), "a number from 0.5"),
        (Feature(name="a", kind="category", help="", categories=("M", "F", 3)), "one of 'M', 'F', 3, or null"),
        (Feature(name="a", kind="number", help="", high=10_000_000, nullable=False), "a number to 10,000,000"),
        (Feature(name="a", kind="boolean", help=""), "true or false, or null"),
    ],
)
def test_what_is_allowed_is_said_in_words(feature: Feature, words: str) -> None:
    assert feature.allowed == words


def test_inputs_choose_and_order_the_models_columns(churn: UseCase) -> None:
    chosen = replace(churn, inputs=("gender", "customer_age"))
    assert [f.name for f in chosen.columns] == ["gender", "customer_age"]


def test_a_sample_that_is_absent_or_fails_is_said_in_one_line(churn: UseCase) -> None:
    with pytest.raises(UseCaseError, match=r"^use_cases/churn\.py has no sample, which could generate rows$"):
        replace(churn, sample=None).draw_sample(10, 1)
    with pytest.raises(UseCaseError, match=r"^use_cases/churn\.py: sample\(10, 1, 0\) raises ZeroDivisionError"):
        replace(churn, sample=lambda rows, seed, drift: 1 / 0).draw_sample(10, 1)  # type: ignore[arg-type, return-value]
