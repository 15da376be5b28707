"""What is sent for a boolean, whatever a raw table calls it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scorehouse.usecase import Feature
from simulation_business.traffic.traffic import _value

SMOKES = Feature(name="smokes", kind="boolean", help="")


@pytest.mark.parametrize(
    ("cell", "sent"),
    [
        (np.bool_(True), True),
        (1.0, True),
        (0, False),
        (np.int64(0), False),
        (float("nan"), None),
        (2, 2),
        ("yes", "yes"),
    ],
)
def test_true_and_false_are_sent_as_json_has_them_and_the_rest_is_left_to_the_door(cell: Any, sent: Any) -> None:
    value = _value(SMOKES, cell)
    assert value == sent
    assert type(value) is type(sent)
