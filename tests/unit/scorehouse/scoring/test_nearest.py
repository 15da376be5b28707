"""The known name that is like an unknown one is what a person meant; often none is."""

from __future__ import annotations

import pytest

from scorehouse.scoring.nearest import KnownNames

NAMES = KnownNames(["customer_age", "credit_limit", "gender", "customer_id", "total_trans_ct", "bmi"])


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("custommer_age", "customer_age"), ("age", "customer_age"), ("CreditLimit", "credit_limit"),
        ("gendre", "gender"), ("customer-id", "customer_id"), ("trans_ct_total", "total_trans_ct"), ("bni", "bmi"),
    ],
)  # fmt: skip
def test_what_is_written_wrongly_is_found(wrong: str, meant: str) -> None:
    assert NAMES.nearest(wrong) == meant


@pytest.mark.parametrize("other", ["", "x", "sepal width", "ticket", "Fare", "ö" * 10_000])
def test_what_is_like_no_name_is_not_explained_by_one(other: str) -> None:
    assert NAMES.nearest(other) == "" and NAMES.suggest(other) == ""


def test_a_name_is_nearest_to_itself_and_a_word_in_common_counts_only_where_asked_for() -> None:
    assert NAMES.nearest("gender") == "gender"
    assert NAMES.suggest("gendr") == "; did you mean 'gender'?"
    assert NAMES.nearest("age", by_word=False) == ""
    assert KnownNames([]).nearest("age") == ""
