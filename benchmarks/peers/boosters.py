"""Three libraries of boosted trees at their defaults, as `benchmarks.defaults` asks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import catboost
import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from scorehouse.usecase import Task

Vector = NDArray[np.float64]
# task, columns and truth to learn from, columns to answer -> chances (n,) or (n, classes), amounts or classes
Fit = Callable[[Task, pd.DataFrame, Vector, pd.DataFrame], Vector]
_MOST_LEVELS = 254  # of a category, for scikit-learn: it refuses columns of more


def histogram(task: Task, known: pd.DataFrame, truth: Vector, asked: pd.DataFrame) -> Vector:
    """Answer by scikit-learn's HistGradientBoosting; of a category, it gets the most frequent levels."""
    known, asked = known.copy(), asked.copy()
    for name in known.select_dtypes("category"):
        levels = list(known[name].value_counts().index[:_MOST_LEVELS])
        known[name] = known[name].cat.set_categories(levels)
        asked[name] = asked[name].cat.set_categories(levels)
    model = HistGradientBoostingClassifier() if _is_chance(task) else HistGradientBoostingRegressor()
    return _answer(task, model.set_params(random_state=0).fit(known, truth), asked, truth)


def light(task: Task, known: pd.DataFrame, truth: Vector, asked: pd.DataFrame) -> Vector:
    """Answer by LightGBM."""
    model = lightgbm.LGBMClassifier if _is_chance(task) else lightgbm.LGBMRegressor
    return _answer(task, model(verbose=-1, random_state=0, n_jobs=2).fit(known, truth), asked, truth)


def cat(task: Task, known: pd.DataFrame, truth: Vector, asked: pd.DataFrame) -> Vector:
    """Answer by CatBoost, which takes categories as text and needs one for a missing value."""
    known, asked = _as_text(known), _as_text(asked)
    model = catboost.CatBoostClassifier if _is_chance(task) else catboost.CatBoostRegressor
    categories = list(known.select_dtypes(object).columns)
    options = {"random_seed": 0, "thread_count": 2, "verbose": 0, "allow_writing_files": False}
    return _answer(task, model(cat_features=categories, **options).fit(known, truth), asked, truth)


PEERS: Mapping[str, Fit] = {"scikit-learn": histogram, "LightGBM": light, "CatBoost": cat}
PACKAGES = {"scikit-learn": "scikit-learn", "LightGBM": "lightgbm", "CatBoost": "catboost"}


def _is_chance(task: Task) -> bool:
    return task in {"binary", "multiclass"}


def _answer(task: Task, model: object, asked: pd.DataFrame, truth: Vector) -> Vector:
    """Return what the fitted model answers; for ordered classes, the nearest one."""
    if _is_chance(task):
        chances: Vector = model.predict_proba(asked)  # type: ignore[attr-defined]
        return chances[:, 1] if task == "binary" else chances
    answers = np.asarray(model.predict(asked), dtype=np.float64)  # type: ignore[attr-defined]
    return np.clip(np.round(answers), truth.min(), truth.max()) if task == "ordinal" else answers


def _as_text(columns: pd.DataFrame) -> pd.DataFrame:
    names = columns.select_dtypes("category").columns
    return columns.assign(**{name: columns[name].astype(object).where(columns[name].notna(), "") for name in names})
