"""A model of the sample of the module's own `use_case`."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from model_orchestration.tables.training_table import prepare
from model_orchestration.training.training import Trained, Training
from scorehouse.scoring.onnx_model import OnnxModel
from scorehouse.scoring.schema import RecordSchema
from scorehouse.scoring.scorer import Scorer


@pytest.fixture(scope="module")
def training(request: pytest.FixtureRequest) -> Training:
    """A sample, split and encoded; few boosting rounds, so that a test takes a second."""
    use_case = request.module.use_case
    (estimator,) = use_case.estimators
    quick = replace(estimator, fixed={**estimator.fixed, "rounds": 60})
    table = prepare(pd.DataFrame(use_case.sample(4000, 1, 0.0)), use_case)
    return Training(replace(use_case, estimators=(quick,)), table)


@pytest.fixture(scope="module")
def trained(training: Training) -> Trained:
    return training.retrain(training.best(list(training.search(2)), 1)[0])


@pytest.fixture(scope="module")
def scorer(training: Training, trained: Trained) -> Scorer:
    predict = OnnxModel(trained.onnx, trained.output)
    schema = RecordSchema(training.use_case.features)
    return Scorer(schema, training.use_case.derive, training.encoder, predict)
