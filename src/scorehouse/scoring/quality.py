"""How good predictions were, once the truth is known: the same figures at training, in monitoring and in reports."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from scorehouse.errors import UseCaseError
from scorehouse.scoring.figures import BY_NAME, FIGURES, Figure, Vector
from scorehouse.usecase import Task


def quality(task: Task, truth: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Return the task's figures for truth (n,) and predictions; those that are undefined there are left out.

    Predictions are (n,), or (n, classes) chances of several classes.
    """
    values = {figure.name: _compute(figure, truth, predicted) for figure in FIGURES[task]}
    return {name: value for name, value in values.items() if value is not None}


def quality_by(name: str, task: Task, truth: ArrayLike, predicted: ArrayLike) -> float | None:
    """Return one figure alone, as `quality` gives it; None where it is undefined or the task has none of that name."""
    return next((_compute(figure, truth, predicted) for figure in FIGURES[task] if figure.name == name), None)


def better(name: str, a: float, b: float) -> bool:
    """Say whether `a` is the better value of the figure `name`.

    Raises:
        UseCaseError: models cannot be ranked by it.
    """
    direction = BY_NAME[name].better if name in BY_NAME else None
    if direction is None:
        ranks = ", ".join(sorted(figure.name for figure in BY_NAME.values() if figure.better))
        raise UseCaseError(f"models cannot be ranked by {name!r}: rank_by and promote_by take one of {ranks}")
    return a > b if direction == "higher" else a < b


def _compute(figure: Figure, truth: ArrayLike, predicted: ArrayLike) -> float | None:
    t: Vector = np.asarray(truth, dtype=np.float64)
    p: Vector = np.asarray(predicted, dtype=np.float64)
    if not len(t):
        return None
    try:
        value = figure.function(t, p)
    except ValueError:  # how scikit-learn says that it is undefined, such as the gamma deviance of an amount of 0
        return None
    return value if np.isfinite(value) else None
