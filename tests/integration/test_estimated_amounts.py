"""The expected error of amounts, by scikit-learn's own boosted trees."""

import numpy as np
import pytest

from monitoring.evidently_service.drift.statistics import Floats
from monitoring.evidently_service.quality.estimated_quality import AbsoluteErrorModel, EstimatedAmountQuality
from scorehouse.scoring.quality import quality


def test_the_expected_error_of_amounts_follows_a_harder_population() -> None:
    generator = np.random.default_rng(3)

    def amounts(rows: int, largest: float) -> tuple[Floats, Floats, Floats]:
        size = generator.uniform(0, largest, rows)
        prediction = 100 + 50 * size
        return size[:, None], prediction, prediction + generator.normal(0, 1 + 4 * size)

    model = AbsoluteErrorModel.fit(*amounts(3000, largest=10))
    for largest in (10, 3):
        features, prediction, outcome = amounts(4000, largest)
        realised = quality("amount", outcome, prediction)["mae"]
        assert model.estimate(features, prediction).mae == pytest.approx(realised, rel=0.1)
    assert model.estimate(np.empty((0, 1)), np.array([])) == EstimatedAmountQuality(0, None)
