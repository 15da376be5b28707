"""A model of insurance's sample: it comes near what the sample was made of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model_orchestration.tables.training_table import TEST, assign_splits, prepare
from model_orchestration.training.training import Trained, Training
from scorehouse.scoring.figures import gamma_deviance
from scorehouse.scoring.scorer import Scorer
from use_cases.insurance import SPREAD, clean, derive, fair_premium, use_case


def test_a_model_of_the_sample_comes_near_its_truth(training: Training, trained: Trained) -> None:
    test, table = training.split == TEST, training.table
    seen = training.encoder.rows([derive(r) for r in table.records])[test].astype(float)
    columns = dict(zip(training.encoder.names, seen.T, strict=True))
    columns["Type_risk"] += 1  # codes count from 0
    possible = gamma_deviance(table.truth[test], fair_premium(columns))
    without = gamma_deviance(table.truth[test], np.full(test.sum(), np.median(table.truth[~test])))
    assert possible == pytest.approx(SPREAD, rel=0.15)
    assert trained.quality["test_gamma_deviance"] < 1.3 * possible < 0.6 * without
    assert trained.quality["test_predicted_over_true"] == pytest.approx(1, abs=0.05)


def test_a_served_quote_is_the_trained_model_s(training: Training, trained: Trained, scorer: Scorer) -> None:
    records = training.table.records[:50]
    served = scorer.score(records)
    rows = training.encoder.rows([derive(r) for r in records])
    assert served == pytest.approx(trained.model.predict(rows).tolist(), rel=1e-4)


def test_all_years_of_a_customer_are_on_one_side() -> None:
    keys = prepare(pd.DataFrame(use_case.sample(4000, 1, 0.0)), use_case).keys
    found = pd.Series(assign_splits(keys, 0, use_case.split)).groupby(keys).nunique()
    assert len(found) > 1000
    assert (found == 1).all()


def test_drift_brings_younger_drivers_and_dearer_policies() -> None:
    usual, drifted = (clean(pd.DataFrame(use_case.sample(3000, 2, drift))) for drift in (0.0, 1.0))
    assert drifted["Date_birth"].min() > usual["Date_birth"].min()
    assert drifted["Power"].mean() > usual["Power"].mean() + 20
    assert drifted["Premium"].mean() > 1.1 * usual["Premium"].mean()
