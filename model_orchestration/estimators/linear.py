"""Linear regression with a penalty: ridge (squares) and lasso (absolute values), by scikit-learn."""

from __future__ import annotations

from typing import Any

from sklearn.linear_model import Lasso, Ridge

from model_orchestration.estimators.base import Data
from model_orchestration.estimators.pipeline import Prepared

PASSES = 10_000  # most passes of coordinate descent; the default of 1,000 is not enough for the weakest penalties


def fit_ridge(settings: dict[str, Any], prepared: Prepared, data: Data) -> Ridge:
    """Fit by least squares plus `alpha` times the sum of squared coefficients."""
    return Ridge(**settings).fit(prepared, data.truth, sample_weight=data.weights)


def fit_lasso(settings: dict[str, Any], prepared: Prepared, data: Data) -> Lasso:
    """Fit by half the mean square plus `alpha` times the sum of absolute coefficients."""
    return Lasso(**{"max_iter": PASSES, "tol": 1e-3, **settings}).fit(prepared, data.truth, sample_weight=data.weights)
