"""How good predictions were, once the truth is known: the same figures at training, in monitoring and in reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorehouse.usecase import Task

Vector = NDArray[np.float64]


def log_loss(truth: Vector, chance: Vector) -> float:
    """Mean negative log likelihood of outcomes 0 or 1 under `chance`, kept 1e-7 away from certainty."""
    p = np.clip(chance, 1e-7, 1 - 1e-7)
    return float(-np.mean(truth * np.log(p) + (1 - truth) * np.log1p(-p)))


def auc(truth: Vector, score: Vector) -> float:
    """Area under the ROC curve (Mann and Whitney's U over the pairs, ties half); NaN where only one class came."""
    positive = truth > 0.5
    n1 = int(positive.sum())
    n0 = len(truth) - n1
    if not n0 or not n1:
        return float("nan")
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - n1 * (n1 + 1) / 2) / (n0 * n1))


def brier(truth: Vector, chance: Vector) -> float:
    """Mean squared difference between chance and outcome."""
    return float(np.mean((chance - truth) ** 2))


def calibration_error(truth: Vector, chance: Vector, bins: int = 10) -> float:
    """Expected calibration error: mean |chance - rate| over `bins` groups of equal size."""
    groups = np.array_split(np.argsort(chance, kind="stable"), min(bins, len(chance)))
    return float(sum(abs(chance[g].mean() - truth[g].mean()) * len(g) for g in groups) / len(chance))


def gamma_deviance(truth: Vector, amount: Vector) -> float:
    """Mean gamma deviance, 2 mean(log(amount / truth) + truth / amount - 1); NaN unless all are positive."""
    if truth.min() <= 0 or amount.min() <= 0:
        return float("nan")
    return float(2 * np.mean(np.log(amount / truth) + truth / amount - 1))


def quadratic_kappa(truth: Vector, label: Vector) -> float:
    """Cohen's kappa with quadratic weights; NaN where all is one class."""
    expected = ((truth[:, None] - np.unique(label)[None, :]) ** 2 * _shares(label)).sum(axis=1).mean()
    return float(1 - np.mean((truth - label) ** 2) / expected) if expected > 0 else float("nan")


def balanced_accuracy(truth: Vector, label: Vector) -> float:
    """Mean over the true classes of the share that was found."""
    return float(np.mean([np.mean(label[truth == c] == c) for c in np.unique(truth)]))


def _shares(label: Vector) -> Vector:
    return np.unique(label, return_counts=True)[1] / len(label)


def _at_half(of: Callable[[Vector, Vector], float]) -> Callable[[Vector, Vector], float]:
    return lambda truth, chance: of(truth, (chance >= 0.5).astype(float))


_FIGURES: Mapping[Task, Mapping[str, Callable[[Vector, Vector], float]]] = {
    "binary": {
        "log_loss": log_loss,
        "auc": auc,
        "brier": brier,
        "rmse": lambda t, p: float(np.sqrt(brier(t, p))),
        "accuracy": _at_half(lambda t, p: float(np.mean(t == p))),
        "kappa": _at_half(quadratic_kappa),
        "mean_predicted": lambda _, p: float(p.mean()),
        "mean_true": lambda t, _: float(t.mean()),
        "calibration_error": calibration_error,
    },
    "amount": {
        "mae": lambda t, p: float(np.mean(np.abs(t - p))),
        "rmse": lambda t, p: float(np.sqrt(np.mean((t - p) ** 2))),
        "bias": lambda t, p: float(np.mean(p - t)),
        "gamma_deviance": gamma_deviance,
        "predicted_over_true": lambda t, p: float(p.mean() / t.mean()) if t.mean() else float("nan"),
    },
    "ordinal": {
        "balanced_accuracy": balanced_accuracy,
        "accuracy": lambda t, p: float(np.mean(t == p)),
        "kappa": quadratic_kappa,
        "mae": lambda t, p: float(np.mean(np.abs(t - p))),
    },
}
HIGHER_IS_BETTER = {"auc", "accuracy", "balanced_accuracy", "kappa"}


def quality(task: Task, truth: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Return the task's figures for truth (n,) and predictions (n,); those that are undefined there are left out."""
    t, p = np.asarray(truth, dtype=float), np.asarray(predicted, dtype=float)
    if not len(t):
        return {}
    figures = {name: of(t, p) for name, of in _FIGURES[task].items()}
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def better(metric: str, a: float, b: float) -> bool:
    """Say whether `a` is the better value of `metric`."""
    return a > b if metric in HIGHER_IS_BETTER else a < b
