"""The quality figures where they are undefined or certain, and which value of a figure is the better one."""

from __future__ import annotations

import numpy as np
import pytest

from scorehouse.errors import UseCaseError
from scorehouse.scoring.figures import auc, calibration_error, quadratic_kappa
from scorehouse.scoring.quality import better, quality, quality_by


def test_an_undefined_figure_is_left_out() -> None:
    one_class = quality("binary", [1, 1, 1], [0.2, 0.5, 0.9])
    assert "auc" not in one_class and "brier" in one_class
    assert "gamma_deviance" not in quality("amount", [0, 1], [1, 1])
    assert "gamma_deviance" not in quality("amount", [1, 1], [1, -1])
    assert "predicted_over_true" not in quality("amount", [0, 0], [1, 1])
    assert quality("binary", [], []) == {}
    assert quality("binary", [1, 0], [np.nan, 0.5]).keys() == {"mean_true", "accuracy", "kappa"}
    assert np.isnan(auc(np.zeros(3), np.arange(3.0)))
    assert np.isnan(quadratic_kappa(np.ones(4), np.ones(4)))


def test_one_figure_alone_is_the_one_among_all() -> None:
    truth, chance = [1, 0, 1, 0], [0.9, 0.4, 0.3, 0.1]
    assert {name: quality_by(name, "binary", truth, chance) for name in quality("binary", truth, chance)} == quality(
        "binary", truth, chance
    )
    assert quality_by("auc", "binary", [1, 1], [0.1, 0.2]) is None
    assert quality_by("auc", "amount", [1, 1], [0.1, 0.2]) is None
    assert quality_by("auc", "binary", [], []) is None


def test_certainty_that_was_wrong_costs_much_but_not_everything() -> None:
    assert np.isfinite(quality("binary", [1, 0], [0.0, 1.0])["log_loss"])


def test_a_calibrated_chance_has_a_small_error_and_a_shifted_one_its_shift() -> None:
    rng = np.random.default_rng(1)
    chance = rng.random(200_000)
    truth = (rng.random(200_000) < chance).astype(float)
    assert calibration_error(truth, chance) < 0.01
    assert calibration_error(truth, np.clip(chance * 0.5, 0, 1)) == pytest.approx(0.25, abs=0.01)
    assert calibration_error(truth[:3], chance[:3]) >= 0


def test_higher_is_better_for_what_measures_agreement_and_lower_for_what_measures_error() -> None:
    assert better("auc", 0.9, 0.8) and better("kappa", 0.9, 0.8)
    assert better("log_loss", 0.1, 0.2) and better("gamma_deviance", 0.1, 0.2)
    assert not better("auc", 0.8, 0.8)


@pytest.mark.parametrize("name", ["mean_true", "area"])
def test_models_cannot_be_ranked_by_a_figure_without_a_better_direction(name: str) -> None:
    with pytest.raises(UseCaseError, match=f"cannot be ranked by '{name}'.*take one of accuracy, auc"):
        better(name, 0.9, 0.8)
