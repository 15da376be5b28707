"""Estimates quality before outcomes arrive: AUC, accuracy or log loss of a classifier, the error of an amount.

Confidence-based and direct loss estimation, as published by nannyml. They follow a shift of the population, but miss
about half of the loss that corrupted inputs cause; the monitor's page says so while inputs drift.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from monitoring.evidently_service.drift.statistics import Floats
from scorehouse.scoring.figures import CERTAIN

if TYPE_CHECKING:  # scikit-learn (90 MB) and scipy.optimize (20 MB) are imported where they are used
    from sklearn.ensemble import HistGradientBoostingRegressor

SMALLEST_PROBABILITY = 1e-6  # scores are kept this far from 0 and 1, so that their logits stay finite


@dataclass(frozen=True)
class EstimatedBinaryQuality:
    """The expected quality of `count` scored rows whose outcomes are not known yet; None without rows."""

    count: int
    auc: float | None
    accuracy: float | None


@dataclass(frozen=True)
class EstimatedAmountQuality:
    """The expected mean absolute error of `count` rows, in the amount's unit; None without rows."""

    count: int
    mae: float | None


@dataclass(frozen=True)
class PlattCalibration:
    """A score's probability of class 1 as 1 / (1 + exp(-(slope logit(score) + intercept))) (Platt 1999)."""

    slope: float
    intercept: float

    @classmethod
    def fit(cls, score: Floats, outcome: Floats) -> PlattCalibration:
        """Fit to out-of-fold scores (n,) in 0..1 and their outcomes (n,), 0 or 1, by maximum likelihood.

        Platt's smoothed targets keep the fit finite where the classes are separable or only one occurs.
        """
        from scipy import optimize

        ones = outcome.sum()
        target = np.where(outcome == 1, (ones + 1) / (ones + 2), 1 / (len(outcome) - ones + 2))
        design = np.column_stack([_logit(score), np.ones(len(score))])

        def loss(weights: Floats) -> tuple[float, Floats]:
            z = design @ weights
            return float(np.mean(np.logaddexp(0, z) - target * z)), design.T @ (special.expit(z) - target) / len(z)

        slope, intercept = optimize.minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
        return cls(float(slope), float(intercept))

    def probability(self, score: Floats) -> Floats:
        """Return the calibrated probabilities of scores (n,)."""
        probability: Floats = special.expit(self.slope * _logit(score) + self.intercept)
        return probability


def estimate_binary(score: Floats, probability: Floats) -> EstimatedBinaryQuality:
    """Return the AUC and accuracy (at a score of .5) to expect of scores (n,) with calibrated probabilities (n,)."""
    if not len(score):
        return EstimatedBinaryQuality(0, None, None)
    right = np.where(score >= 0.5, probability, 1 - probability)
    return EstimatedBinaryQuality(len(score), expected_auc(score, probability), float(right.mean()))


@dataclass(frozen=True)
class Temperature:
    """Chances of several classes, made more or less sure: softmax(log(chances) / temperature) (Guo et al. 2017)."""

    temperature: float

    @classmethod
    def fit(cls, chances: Floats, truth: Floats) -> Temperature:
        """Fit to out-of-fold chances (n, classes) and the places of the true classes (n,), by maximum likelihood."""
        from scipy import optimize

        logs = np.log(np.clip(chances, SMALLEST_PROBABILITY, 1))
        true = truth.astype(np.intp)

        def loss(power: float) -> float:
            scaled = logs / np.exp(power)
            return float(np.mean(special.logsumexp(scaled, axis=1) - scaled[np.arange(len(true)), true]))

        return cls(float(np.exp(optimize.minimize_scalar(loss, bounds=(-3, 3), method="bounded").x)))

    def probability(self, chances: Floats) -> Floats:
        """Return the calibrated chances, (n, classes)."""
        logs = np.log(np.clip(chances, SMALLEST_PROBABILITY, 1))
        calibrated: Floats = special.softmax(logs / self.temperature, axis=1)
        return calibrated


def estimate_classes(chances: Floats, probability: Floats) -> dict[str, float]:
    """Return the accuracy and log loss to expect of chances with calibrated ones, both (n, classes); none without rows.

    A row is of each class with its own probability.
    """
    if not len(chances):
        return {}
    right = probability[np.arange(len(chances)), chances.argmax(axis=1)]
    penalty = -(probability * np.log(np.clip(chances, CERTAIN, 1))).sum(axis=1)
    return {"accuracy": float(right.mean()), "log_loss": float(penalty.mean())}


def expected_auc(score: Floats, probability: Floats) -> float | None:
    """Chance that a row of class 1 outranks one of class 0, where each row is of class 1 with its own probability.

    Over pairs of two different rows: sum p_i (1 - p_j) [s_i > s_j] / sum p_i (1 - p_j), where ties count half; None
    where the second sum is 0.
    If the probabilities are outcomes, 0 or 1, this is the AUC itself.
    """
    order = np.argsort(score)
    ranked, p = score[order], probability[order]
    starts = np.flatnonzero(np.diff(ranked, prepend=np.nan) != 0)
    ones, zeros, own = (np.add.reduceat(weight, starts) for weight in (p, 1 - p, p * (1 - p)))
    pairs = ones.sum() * zeros.sum() - own.sum()
    won = np.sum(ones * (np.cumsum(zeros) - zeros)) + np.sum(ones * zeros - own) / 2
    return float(won / pairs) if pairs > 0 else None


@dataclass(frozen=True, eq=False)
class AbsoluteErrorModel:
    """The expected absolute error, learned from the reference: |y - prediction| by features and prediction."""

    regressor: HistGradientBoostingRegressor

    @classmethod
    def fit(cls, features: Floats, prediction: Floats, outcome: Floats) -> AbsoluteErrorModel:
        """Fit to features (n x k, NaN for missing), out-of-fold predictions (n,) and outcomes (n,)."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        regressor = HistGradientBoostingRegressor(
            max_iter=100, learning_rate=0.05, max_leaf_nodes=15, min_samples_leaf=40, random_state=0
        )
        with _one_thread():
            return cls(regressor.fit(np.column_stack([features, prediction]), np.abs(outcome - prediction)))

    def estimate(self, features: Floats, prediction: Floats) -> EstimatedAmountQuality:
        """Return the expected mean absolute error of a window."""
        if not len(prediction):
            return EstimatedAmountQuality(0, None)
        with _one_thread():
            expected = self.regressor.predict(np.column_stack([features, prediction]))
        return EstimatedAmountQuality(len(prediction), float(np.maximum(expected, 0).mean()))


def _one_thread() -> AbstractContextManager[object]:
    """Limit scikit-learn to one thread: spinning threads took 40 s instead of one on a busy machine."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limits: AbstractContextManager[object] = threadpool_limits(limits=1)
    return limits


def _logit(score: Floats) -> Floats:
    logit: Floats = special.logit(np.clip(score, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY))
    return logit
