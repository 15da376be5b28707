"""A model of wine's sample: it comes near what the sample was made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_orchestration.tables.training_table import TEST, prepare
from model_orchestration.training.training import Training
from scorehouse.scoring.figures import quadratic_kappa
from scorehouse.scoring.onnx_model import OnnxModel
from scorehouse.scoring.schema import RecordSchema, Rejected
from scorehouse.scoring.scorer import Scorer
from use_cases.wine import liking, use_case

RECORD: dict[str, Any] = {f.name: f.example for f in use_case.features}
REQUIRED = {f.name for f in use_case.features if f.required}


@pytest.fixture(scope="module")
def training() -> Training:
    raw = pd.DataFrame(use_case.sample(700, 5, 0.0))
    return Training(use_case, prepare(raw, use_case))


def test_both_kernels_are_searched_and_the_best_trial_ranks_wines_it_never_saw(training: Training) -> None:
    trials = list(training.search(4))
    assert {t.estimator.fixed["kernel"] for t in trials} == {"rbf", "linear"}
    trained = training.retrain(training.best(trials, 1)[0])
    truth = training.table.truth[training.split == TEST]
    known = np.round(liking(use_case.sample(700, 5, 0.0)))[training.split == TEST]
    assert 0.25 < trained.quality["test_kappa"] <= quadratic_kappa(truth, known) + 0.1
    assert trained.quality["test_required_only_kappa"] > 0.15
    assert trained.quality["test_balanced_accuracy"] > 1.3 / len(np.unique(truth))


def test_a_scored_wine_gets_a_whole_mark_with_all_measurements_and_with_three(training: Training) -> None:
    estimator = use_case.estimators[0]
    trial = next(t for t in training.search(4) if t.estimator is estimator)
    trained = training.retrain(trial)
    model, output = trained.onnx, trained.output
    scorer = Scorer(RecordSchema(use_case.features), use_case.derive, training.encoder, OnnxModel(model, output))
    answers = scorer.score([RECORD, {k: RECORD[k] for k in REQUIRED}, dict.fromkeys(REQUIRED)])
    assert [type(a) for a in answers] == [int, int, int]
    assert all(3 <= a <= 9 for a in answers if not isinstance(a, Rejected))
