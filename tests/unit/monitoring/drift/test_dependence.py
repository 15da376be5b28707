"""The design effect of columns that have nothing to compare."""

import numpy as np
import pytest

from monitoring.evidently_service.drift.dependence import design_effect
from monitoring.evidently_service.drift.statistics import Kind, Sample


@pytest.mark.parametrize("kind", ["number", "category"])
@pytest.mark.parametrize("value", [np.nan, 1.0])
def test_a_column_without_variation_tells_nothing_about_dependence(kind: Kind, value: float) -> None:
    values = np.full(400, value)
    assert design_effect(values, Sample(kind, values[np.isfinite(values)], len(values))) == 1.0
