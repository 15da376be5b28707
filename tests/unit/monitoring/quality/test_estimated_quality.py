"""Estimated quality: it meets what outcomes later show, follows a shift of population, and is None for no rows."""

import numpy as np
import pytest

from monitoring.evidently_service.drift.statistics import Floats
from monitoring.evidently_service.quality.estimated_quality import (
    EstimatedBinaryQuality,
    PlattCalibration,
    estimate_binary,
    expected_auc,
)
from scorehouse.scoring.figures import auc


def scored(rows: int, seed: int, difficulty: float = 0.0) -> tuple[Floats, Floats]:
    """Overconfident scores and outcomes: the true logit is .6 of the score's, minus .3."""
    generator = np.random.default_rng(seed)
    logit = generator.normal(0, 2.5 - difficulty, rows)
    truth = generator.random(rows) < 1 / (1 + np.exp(0.3 - 0.6 * logit))
    return 1 / (1 + np.exp(-logit)), truth.astype(float)


def test_platt_calibration_finds_the_true_slope_and_intercept() -> None:
    calibration = PlattCalibration.fit(*scored(20_000, seed=0))
    assert calibration.slope == pytest.approx(0.6, abs=0.03)
    assert calibration.intercept == pytest.approx(-0.3, abs=0.05)


@pytest.mark.parametrize("outcome", [np.zeros(50), np.ones(50), np.r_[np.zeros(25), np.ones(25)]])
def test_platt_calibration_stays_finite_on_one_class_and_on_separable_classes(outcome: Floats) -> None:
    calibration = PlattCalibration.fit(np.linspace(0, 1, 50), outcome)
    probability = calibration.probability(np.array([0.0, 0.5, 1.0]))
    assert np.isfinite(probability).all()
    assert ((probability >= 0) & (probability <= 1)).all()


@pytest.mark.parametrize("difficulty", [0.0, 1.5])
def test_expected_auc_and_accuracy_meet_the_realised_ones_also_when_the_population_gets_harder(
    difficulty: float,
) -> None:
    calibration = PlattCalibration.fit(*scored(5000, seed=1))
    score, outcome = scored(20_000, seed=2, difficulty=difficulty)
    expected = estimate_binary(score, calibration.probability(score))
    assert expected.auc == pytest.approx(auc(outcome, score), abs=0.015)
    assert expected.accuracy == pytest.approx(np.mean((score >= 0.5) == outcome), abs=0.015)


def test_expected_auc_is_the_sum_over_pairs_of_different_rows_with_ties_half() -> None:
    score, p = np.array([0.1, 0.4, 0.4, 0.9]), np.array([0.2, 0.3, 0.6, 0.7])
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    won = sum(p[i] * (1 - p[j]) * ((score[i] > score[j]) + 0.5 * (score[i] == score[j])) for i, j in pairs)
    assert expected_auc(score, p) == pytest.approx(won / sum(p[i] * (1 - p[j]) for i, j in pairs))


def test_expected_auc_of_known_outcomes_is_the_auc() -> None:
    score, outcome = scored(500, seed=4)
    assert expected_auc(score.round(1), outcome) == pytest.approx(auc(outcome, score.round(1)))


def test_no_rows_or_a_single_one_have_nothing_to_rank() -> None:
    assert estimate_binary(np.array([]), np.array([])) == EstimatedBinaryQuality(0, None, None)
    single = estimate_binary(np.array([0.8]), np.array([0.8]))
    assert (single.count, single.auc) == (1, None)
    assert single.accuracy == pytest.approx(0.8)
