"""The quality figures, held against scikit-learn on random data."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from scorehouse.scoring.figures import CERTAIN
from scorehouse.scoring.quality import quality

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_figures_of_chances_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    chance = rng.random(500).round(int(rng.integers(1, 6)))  # ties
    truth = (rng.random(500) < chance).astype(float)
    figures = quality("binary", truth, chance)
    at_half = chance >= 0.5
    assert figures["auc"] == pytest.approx(sk.roc_auc_score(truth, chance), abs=1e-12)
    assert figures["log_loss"] == pytest.approx(sk.log_loss(truth, np.clip(chance, 1e-7, 1 - 1e-7)), abs=1e-12)
    assert figures["brier"] == pytest.approx(sk.brier_score_loss(truth, chance), abs=1e-12)
    assert figures["accuracy"] == pytest.approx(sk.accuracy_score(truth, at_half), abs=1e-12)
    assert figures["kappa"] == pytest.approx(sk.cohen_kappa_score(truth, at_half), abs=1e-12)
    assert figures["mean_predicted"] == pytest.approx(chance.mean())
    assert figures["mean_true"] == pytest.approx(truth.mean())


@pytest.mark.parametrize("seed", SEEDS)
def test_figures_of_amounts_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.gamma(1.5, 2000, 400)
    amount = truth * rng.lognormal(0, 0.5, 400)
    figures = quality("amount", truth, amount)
    assert figures["gamma_deviance"] == pytest.approx(sk.mean_gamma_deviance(truth, amount), rel=1e-10)
    assert figures["mae"] == pytest.approx(sk.mean_absolute_error(truth, amount))
    assert figures["rmse"] == pytest.approx(sk.mean_squared_error(truth, amount) ** 0.5)
    assert figures["bias"] == pytest.approx((amount - truth).mean())
    assert figures["predicted_over_true"] == pytest.approx(amount.sum() / truth.sum())


@pytest.mark.parametrize("seed", SEEDS)
def test_figures_of_classes_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, 9, 400).astype(float)
    label = np.clip(truth + rng.integers(-1, 2, 400), 3, 8)
    figures = quality("ordinal", truth, label)
    assert figures["kappa"] == pytest.approx(sk.cohen_kappa_score(truth, label, weights="quadratic"), abs=1e-12)
    assert figures["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(truth, label), abs=1e-12)
    assert figures["accuracy"] == pytest.approx(sk.accuracy_score(truth, label), abs=1e-12)
    assert figures["mae"] == pytest.approx(sk.mean_absolute_error(truth, label), abs=1e-12)


def test_kappa_keeps_the_distance_of_classes_of_which_one_between_is_absent() -> None:
    truth, label = np.array([3.0, 3.0, 6.0, 6.0, 5.0]), np.array([3.0, 6.0, 6.0, 5.0, 5.0])
    all_classes = sk.cohen_kappa_score(truth, label, weights="quadratic", labels=[3, 4, 5, 6])
    assert quality("ordinal", truth, label)["kappa"] == pytest.approx(all_classes, abs=1e-12)
    assert sk.cohen_kappa_score(truth, label, weights="quadratic") != pytest.approx(all_classes, abs=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_figures_of_several_classes_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet([0.5, 1.0, 0.7, 0.2], 400)
    truth = np.array([rng.choice(4, p=row) for row in chances]).astype(float)
    label = chances.argmax(axis=1)
    figures = quality("multiclass", truth, chances)
    kept = np.clip(chances, 1e-7, 1 - 1e-7)
    kept /= kept.sum(axis=1, keepdims=True)
    assert figures["log_loss"] == pytest.approx(sk.log_loss(truth, kept), abs=1e-12)
    assert figures["accuracy"] == pytest.approx(sk.accuracy_score(truth, label), abs=1e-12)
    assert figures["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(truth, label), abs=1e-12)
    assert figures["macro_f1"] == pytest.approx(sk.f1_score(truth, label, average="macro"), abs=1e-12)
    assert figures["auc"] == pytest.approx(sk.roc_auc_score(truth, chances, multi_class="ovr"), abs=1e-12)
    assert 0 <= figures["calibration_error"] < 0.1


def test_a_class_that_is_absent_or_unknown_leaves_the_other_figures() -> None:
    chances = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    figures = quality("multiclass", [0, 1, 1], chances)
    assert figures["accuracy"] == pytest.approx(2 / 3) and figures["auc"] == pytest.approx(1.0)
    newer = quality("multiclass", [0, 1, 3], chances)  # a class that the model does not know yet: its chance is 0
    assert newer["accuracy"] == pytest.approx(2 / 3)
    assert newer == pytest.approx(quality("multiclass", [0, 1, 3], np.column_stack([chances, [0, 0, 0]])))
    assert newer["log_loss"] == pytest.approx(-np.log([0.7, 0.8, CERTAIN]).mean())
