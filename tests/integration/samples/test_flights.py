"""A model of flights' sample: it comes near what the sample was made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from model_orchestration.tables.training_table import TEST, TRAIN, prepare
from model_orchestration.training.training import Training
from scorehouse.scoring.schema import RecordSchema, Rejected
from use_cases.flights import derive, fare, use_case


def test_a_model_of_the_sample_comes_near_to_what_the_sample_was_made_of() -> None:
    raw = use_case.sample(1500, 5, 0.0)
    trees = use_case.estimators[0]
    quick = replace(use_case, estimators=(replace(trees, fixed={**trees.fixed, "rounds": 200}),))
    training = Training(quick, prepare(pd.DataFrame(raw), quick))
    model = training.retrain(training.best(list(training.search(2)), 1)[0]).model
    test, truth = training.split == TEST, training.table.truth
    error = {
        "model": model.predict(training.encoder.rows([derive(r) for r in _checked(training, test)])) - truth[test],
        "truth": fare(raw)[test] * np.exp(0.15**2 / 2) - truth[test],
        "median": np.median(truth[training.split == TRAIN]) - truth[test],
    }
    rmse = {name: float(np.sqrt(np.mean(e**2))) for name, e in error.items()}
    assert rmse["truth"] < rmse["model"] < 0.6 * rmse["median"]


def _checked(training: Training, chosen: np.ndarray) -> list[dict[str, Any]]:
    check = RecordSchema(use_case.features).check
    checked = [check(training.table.records[i]) for i in np.flatnonzero(chosen)]
    return [r for r in checked if not isinstance(r, Rejected)]
