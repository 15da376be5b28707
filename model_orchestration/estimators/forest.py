"""Random forests for amounts, by scikit-learn, one thread each (two trials run at a time)."""

from __future__ import annotations

from typing import Any

import numpy as np
from skl2onnx.sklapi import CastTransformer
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline

from model_orchestration.estimators.base import Data
from model_orchestration.estimators.pipeline import Wide, by_skl2onnx
from scorehouse.scoring.onnx_model import Output


def fit_forest(settings: dict[str, Any], wide: Wide, data: Data) -> RandomForestRegressor:
    """Fit the mean of many deep trees, each on a bootstrap of the rows."""
    forest = RandomForestRegressor(**{"random_state": 0, "n_jobs": 1, **settings})
    return forest.fit(wide, data.truth, sample_weight=data.weights)


def export_forest(ready: ColumnTransformer, model: RandomForestRegressor, columns: int) -> tuple[bytes, Output]:
    """Return preparation and forest as ONNX; the trees take float32, which is what scikit-learn's own trees split."""
    narrow = CastTransformer(dtype=np.float32).fit(np.zeros((1, model.n_features_in_)))
    return by_skl2onnx(make_pipeline(ready, narrow), model, columns)
