"""Random forests for amounts and classes, by scikit-learn, with one thread each because two trials run at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from skl2onnx.sklapi import CastTransformer
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import make_pipeline

from model_orchestration.estimators.base import Data
from model_orchestration.estimators.pipeline import Prepared, export_pipeline
from scorehouse.scoring.onnx_model import Output


def fit_forest(settings: dict[str, Any], prepared: Prepared, data: Data) -> RandomForestRegressor:
    """Fit the mean of many deep trees, each on a bootstrap of the rows."""
    forest = RandomForestRegressor(**{"random_state": 0, "n_jobs": 1, **settings})
    return forest.fit(prepared, data.truth, sample_weight=data.weights)


def fit_classifying_forest(settings: dict[str, Any], prepared: Prepared, data: Data) -> RandomForestClassifier:
    """Fit the mean class shares of many deep trees, each on a bootstrap of the rows."""
    forest = RandomForestClassifier(**{"random_state": 0, "n_jobs": 1, **settings})
    return forest.fit(prepared, data.truth.astype(np.int64), sample_weight=data.weights)


def export_forest(preparation: ColumnTransformer, model: RandomForestRegressor, columns: int) -> tuple[bytes, Output]:
    """Return preparation and forest as ONNX. The trees take float32, as scikit-learn's own trees do."""
    return export_pipeline(make_pipeline(preparation, narrowing(model)), model, columns)


def narrowing(model: Any) -> CastTransformer:
    """Return the step that gives trees float32."""
    return CastTransformer(dtype=np.float32).fit(np.zeros((1, model.n_features_in_)))
