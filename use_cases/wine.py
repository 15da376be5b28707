"""Wine: how good will tasters find it?

This page shows ordered classes, a stream envelope, and support vector machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from scorehouse.usecase import Envelope, Estimator, Feature, Range, UseCase

if TYPE_CHECKING:
    import pandas as pd


def _measured(
    name: str, low: float, high: float, help: str, example: float, unit: str = "", required: bool = False
) -> Feature:
    return Feature(
        name=name, kind="number", required=required, low=low, high=high, unit=unit, help=help, example=example
    )


FEATURES = (
    _measured("fixed acidity", 0, 50, "Tartaric acid", 6.8, "g/dm3"),
    _measured("volatile acidity", 0, 10, "Acetic acid: too much tastes of vinegar", 0.26, "g/dm3", required=True),
    _measured("citric acid", 0, 20, "Citric acid", 0.32, "g/dm3"),
    _measured("residual sugar", 0, 400, "Sugar left after the fermentation", 5.2, "g/dm3"),
    _measured("chlorides", 0, 10, "Sodium chloride", 0.043, "g/dm3"),
    _measured("free sulfur dioxide", 0, 1000, "Free sulphur dioxide", 34, "mg/dm3"),
    _measured("total sulfur dioxide", 0, 2000, "Free and bound sulphur dioxide", 134, "mg/dm3"),
    _measured("density", 0.9, 1.3, "Density", 0.9938, "g/cm3"),
    _measured("pH", 0, 14, "Acidity on the pH scale", 3.18),
    _measured("sulphates", 0, 20, "Potassium sulphate", 0.48, "g/dm3", required=True),
    _measured("alcohol", 0, 30, "Alcohol", 10.4, "% by volume", required=True),
)


def clean(table: pd.DataFrame) -> pd.DataFrame:
    """Turn UCI's table into records with `quality`. No row is dropped. Copies of a wine stay in one split."""
    return table[[*(f.name for f in FEATURES), "quality"]]


def liking(c: Mapping[str, Any], drift: float = 0.0) -> np.ndarray:
    """Return the true mark of each sampled wine before rounding, (n,). Drift makes the tasters like sweetness."""
    strength = 0.45 * (c["alcohol"] - 10.5)
    faults = 3.0 * np.maximum(c["volatile acidity"] - 0.28, -0.1) + 6 * (c["chlorides"] - 0.046)
    sulphur = 0.012 * np.minimum(c["free sulfur dioxide"] - 35, 0) + 0.9 * (c["sulphates"] - 0.49)
    sweetness = (0.02 + 0.08 * drift) * (c["residual sugar"] - 6.4)
    return np.asarray(5.9 + (1 - 0.7 * drift) * strength - faults + sulphur + sweetness)


def sample(rows: int, seed: int, drift: float = 0.0) -> dict[str, np.ndarray]:
    """Generate a raw table like UCI's. Drift, 0 to 1, brings riper, sweeter wines and tasters who like them."""
    rng = np.random.default_rng(seed)

    def spread(median: float, sigma: float, low: float, high: float) -> np.ndarray:
        return np.clip(median * np.exp(rng.normal(0, sigma, rows)), low, high)

    sugar = np.where(rng.random(rows) < 0.42, spread(1.6, 0.3, 0.7, 4), spread(8.5, 0.5, 1, 60)) * (1 + 0.5 * drift)
    alcohol = np.clip(rng.normal(11.0, 1.15, rows) - 0.08 * (sugar - 6.4) + 0.8 * drift, 8, 14.2)
    free = spread(33, 0.45, 2, 280)
    acidity = np.clip(rng.normal(6.85, 0.8, rows), 3.8, 14)
    table = {
        "fixed acidity": acidity.round(1),
        "volatile acidity": spread(0.26, 0.3, 0.08, 1.1).round(2),
        "citric acid": np.clip(rng.normal(0.33, 0.11, rows), 0, 1.6).round(2),
        "residual sugar": sugar.round(1),
        "chlorides": spread(0.043, 0.28, 0.009, 0.34).round(3),
        "free sulfur dioxide": free.round(),
        "total sulfur dioxide": np.clip(free + spread(98, 0.32, 5, 380), 9, 440).round(),
        "density": (0.9937 + 0.00038 * (sugar - 6.4) - 0.0011 * (alcohol - 10.5) + rng.normal(0, 5e-4, rows)).round(5),
        "pH": np.clip(3.19 - 0.07 * (acidity - 6.85) + rng.normal(0, 0.13, rows), 2.7, 3.9).round(2),
        "sulphates": spread(0.48, 0.21, 0.22, 1.1).round(2),
        "alcohol": alcohol.round(1),
    }
    opinion = liking(table, drift) + rng.normal(0, 0.5, rows)
    return {**table, "quality": np.clip(opinion.round(), 3, 9).astype(int)}


# A wine has the weight (wines of its class) ** -RARE. The figures are quadratic kappa in cross-validation:
# 0   equal weights: a rare class is hardly ever predicted (0.45)
# 0.5 in between (0.52)
# 1   balanced: rare classes are predicted so often that three wines in five get a wrong class (0.48)
RARE = 0.5

use_case = UseCase(
    name="wine",
    version=1,
    title="How good is this wine?",
    about="A winery asks, from laboratory measurements, which mark from 3 to 9 tasters will give a white wine.",
    source="UCI Machine Learning Repository 186, Wine Quality (CC BY 4.0): 4,898 wines, 937 of them copies of another",
    download="https://archive.ics.uci.edu/ml/machine-learning-databases/wine-quality/winequality-white.csv",
    features=FEATURES,
    target="quality",
    task="ordinal",
    answer="quality",
    envelope=Envelope(features="wine_features", answer="wine_quality"),
    key="",  # a wine has no id, so a row's content is its key
    clean=clean,
    sample=sample,
    sample_rows=3_000,  # because the training time of a support vector machine grows with the square of the rows
    mask_optional=0.3,
    trials=50,
    retrain_best=5,
    estimators=(
        Estimator(
            family="svc",
            fixed={"kernel": "rbf", "rare_class_power": RARE},
            # Not wider: balanced accuracy depends on a handful of rare wines, and a wider search found lucky extremes.
            space={"C": Range(0.3, 20, log=True), "gamma": Range(0.01, 0.1, log=True)},
        ),
        Estimator(
            family="svc",
            fixed={"kernel": "linear", "rare_class_power": RARE},
            space={"C": Range(0.01, 3, log=True)},
        ),
    ),
    folds_below=0,  # support vector machines take seconds to fit, and 600 validation rows rank them well enough
    rank_by="balanced_accuracy",
)
