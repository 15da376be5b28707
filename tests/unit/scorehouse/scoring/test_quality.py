"""The quality figures where they are undefined, certain, or to be compared."""

from __future__ import annotations

import numpy as np
import pytest

from scorehouse.scoring.quality import auc, better, calibration_error, gamma_deviance, quadratic_kappa, quality


def test_what_is_undefined_is_left_out_rather_than_told() -> None:
    one_class = quality("binary", [1, 1, 1], [0.2, 0.5, 0.9])
    assert "auc" not in one_class and "brier" in one_class
    assert "gamma_deviance" not in quality("amount", [0, 1], [1, 1])
    assert quality("binary", [], []) == {}
    assert np.isnan(auc(np.zeros(3), np.arange(3.0)))
    assert np.isnan(gamma_deviance(np.ones(2), np.array([1.0, -1.0])))
    assert np.isnan(quadratic_kappa(np.ones(4), np.ones(4)))


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
