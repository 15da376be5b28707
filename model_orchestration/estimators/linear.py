"""Linear models with a penalty: ridge (squares), lasso (absolute values) and logistic regression, by scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import Lasso, LogisticRegression, Ridge

from model_orchestration.estimators.base import Data
from model_orchestration.estimators.pipeline import Prepared

PASSES = 10_000  # most passes of coordinate descent; the default of 1,000 is not enough for the weakest penalties


def fit_ridge(settings: dict[str, Any], prepared: Prepared, data: Data) -> Ridge:
    """Fit by least squares plus `alpha` times the sum of squared coefficients."""
    return Ridge(**settings).fit(prepared, data.truth, sample_weight=data.weights)


def fit_lasso(settings: dict[str, Any], prepared: Prepared, data: Data) -> Lasso:
    """Fit by half the mean square plus `alpha` times the sum of absolute coefficients."""
    return Lasso(**{"max_iter": PASSES, "tol": 1e-3, **settings}).fit(prepared, data.truth, sample_weight=data.weights)


def fit_logistic(settings: dict[str, Any], prepared: Prepared, data: Data) -> LogisticRegression:
    """Fit the chances of two or more classes; `C` is the inverse of the penalty's strength."""
    model = LogisticRegression(**{"max_iter": 1_000, "random_state": 0, **settings})
    return model.fit(prepared, data.truth.astype(np.int64), sample_weight=data.weights)
