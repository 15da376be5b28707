"""The nearest known name is what a person meant."""

from __future__ import annotations

import pytest

from scorehouse.scoring.nearest import KnownNames

NAMES = KnownNames(["customer_age", "credit_limit", "gender", "customer_id", "total_trans_ct"])


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("custommer_age", "customer_age"), ("age", "customer_age"), ("CreditLimit", "credit_limit"),
        ("gendre", "gender"), ("customer-id", "customer_id"), ("trans_ct_total", "total_trans_ct"),
    ],
)  # fmt: skip
def test_what_is_written_wrongly_is_found(wrong: str, meant: str) -> None:
    assert NAMES.nearest(wrong) == meant


def test_every_name_is_nearest_to_itself_and_anything_has_a_nearest() -> None:
    assert NAMES.nearest("gender") == "gender"
    assert NAMES.nearest("") in {"customer_age", "credit_limit", "gender", "customer_id", "total_trans_ct"}
