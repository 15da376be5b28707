"""A model of claims' sample: it comes near what the sample was made of."""

from __future__ import annotations

import numpy as np
import pandas as pd

from model_orchestration.tables.training_table import TEST, prepare
from model_orchestration.training.training import Trained, Training
from scorehouse.scoring.figures import auc
from scorehouse.scoring.scorer import Scorer
from use_cases.claims import CLAIMANTS, FLIPPED, GENERATED, SHARES, clusters, use_case


def table(rows: int, seed: int) -> pd.DataFrame:
    return pd.DataFrame(use_case.sample(rows, seed, 0.0))


def possible(applicants: pd.DataFrame) -> np.ndarray:
    """The log odds that the sample's truth gives: Bayes' rule over its clusters and its codes by outcome."""
    found, low, high = clusters()
    columns = [
        applicants[name] if to is None else np.interp(applicants[name] + 0.5, to, (low[i], high[i]))
        for i, (name, to) in enumerate(list(GENERATED.items())[:7])
    ]
    parts = []
    for share, (mean, spread) in zip(SHARES, found, strict=True):
        covariance, off = (spread.T @ spread)[:7, :7], np.array(columns).T - mean[:7]
        distance = np.einsum("ij,ij->i", off, np.linalg.solve(covariance, off.T).T)
        parts.append(np.log(share) - 0.5 * (distance + np.linalg.slogdet(covariance)[1]))
    claim, none = (
        np.logaddexp(*(part for part, claimant in zip(parts, CLAIMANTS, strict=True) if claimant is wanted))
        for wanted in (True, False)
    )
    chance = (1 - FLIPPED) / (1 + np.exp(np.clip(none - claim, -50, 50))) + FLIPPED / 2
    rates = np.log(np.array([10, 26, 36, 19, 9]) / np.array([48, 29, 11, 8, 4]))
    rejected = np.where(applicants["prev_claim_rejected"] == 1, np.log(0.17 / 0.075), np.log(0.83 / 0.925))
    coded = rates[applicants["previous_claim_rate"].astype(int) - 1] + rejected
    return np.asarray(np.log(chance / (1 - chance)) + coded)


def test_a_model_of_the_sample_comes_near_its_truth(training: Training, trained: Trained) -> None:
    test = training.split == TEST
    best = auc(training.table.truth[test], possible(table(4000, 1)[test]))
    reached = trained.quality["test_auc"]
    assert 0.88 < reached < best + 0.01
    assert best - reached < 0.04
    assert trained.quality["test_kappa"] > 0.7


def test_other_days_applicants_are_of_the_same_world(training: Training, scorer: Scorer) -> None:
    day = prepare(table(1200, seed=2), use_case)
    scored = scorer.score(day.records)
    assert auc(day.truth, np.array(scored, dtype=np.float64)) > 0.88
    assert not set(map(str, day.records)) & set(map(str, training.table.records))
