"""The training: what each model has seen, and above all what it has not."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit

from model_orchestration.estimators.boosting import NATIVE
from model_orchestration.tables.outcomes import add_outcomes
from model_orchestration.tables.training_table import TEST, TRAIN, VALID, TrainingTable, assign_splits, prepare
from model_orchestration.training.training import Trained, Training
from scorehouse.bundles.bundle import ONNX, REFERENCE
from scorehouse.pages.defaults import with_defaults
from scorehouse.pages.loading import load_use_case
from scorehouse.scoring.encoding import Encoder
from scorehouse.scoring.figures import auc
from scorehouse.scoring.quality import quality
from scorehouse.scoring.schema import RecordSchema
from scorehouse.usecase import Feature, UseCase
from tests import toy as toys
from tests.toy import Toy
from tests.unit.model_orchestration.tables.test_outcomes import documents

TRIALS = 3  # all of them random: what TPE proposes later depends on which of two finished first


@pytest.fixture(scope="module")
def table(toy: Toy) -> TrainingTable:
    return toys.table(toy.use_case, 300, seed=11)


@pytest.fixture(scope="module")
def trained(toy: Toy, table: TrainingTable) -> tuple[Training, list[Any], Trained]:
    return train(toy.use_case, table)


def train(use_case: UseCase, table: TrainingTable) -> tuple[Training, list[Any], Trained]:
    training = Training(use_case, table)
    trials = sorted(training.search(TRIALS), key=lambda t: t.number)
    return training, trials, training.retrain(training.best(trials, 1)[0])


def with_other_rows(table: TrainingTable, chosen: NDArray[np.bool_]) -> TrainingTable:
    """The table with nonsense in the chosen rows, under the same keys."""
    nonsense = dict.fromkeys(table.records[0]) | {"credit_limit": 9e6, "total_trans_ct": 1}
    records = [nonsense if swap else record for record, swap in zip(table.records, chosen, strict=True)]
    return replace(table, records=records, truth=np.where(chosen, 1 - table.truth, table.truth))


def seen(trials: list[Any], trained: Trained) -> list[Any]:
    """All that the search and the retrained model amount to, but what is told of the test rows."""
    figures = {k: v for k, v in trained.quality.items() if not k.startswith("test_")}
    found = [(t.number, dict(t.parameters), t.figures, t.loss) for t in trials]
    return [found, trained.model.native(), trained.reference.to_bytes(), figures]


def test_no_row_of_the_test_split_is_seen_by_the_search_or_by_the_model(
    toy: Toy, table: TrainingTable, trained: tuple[Training, list[Any], Trained]
) -> None:
    training, trials, model = trained
    test = training.split == TEST
    assert test.sum() > 20
    other = train(toy.use_case, with_other_rows(table, test))
    assert seen(*other[1:]) == seen(trials, model)
    assert other[2].quality["test_auc"] != model.quality["test_auc"]  # and only there they are


@pytest.mark.parametrize("split", [TRAIN, VALID])
def test_rows_of_the_other_splits_are_seen_so_the_test_above_can_fail(
    toy: Toy, table: TrainingTable, trained: tuple[Training, list[Any], Trained], split: int
) -> None:
    training, trials, _ = trained
    few = np.isin(np.arange(len(table.keys)), np.flatnonzero(training.split == split)[:3])
    other = Training(toy.use_case, with_other_rows(table, few)).search(TRIALS)
    assert sorted(t.loss for t in other) != sorted(t.loss for t in trials)


def test_out_of_fold_predictions_come_from_models_that_did_not_see_the_row(
    toy: Toy, table: TrainingTable, trained: tuple[Training, list[Any], Trained]
) -> None:
    training, trials, model = trained
    encoded = Encoder.of(toy.use_case.columns).rows(table.records)
    best = training.best(trials, 1)[0]
    (row,) = np.flatnonzero([np.array_equal(e, model.reference.rows[0], equal_nan=True) for e in encoded])
    flipped = np.array(table.truth)
    flipped[row] = 1 - flipped[row]
    again, first = Training(toy.use_case, replace(table, truth=flipped)).retrain(best).reference, model.reference
    assert again.predictions[0] == first.predictions[0]
    assert again.required_only is not None and first.required_only is not None
    assert again.required_only[0] == first.required_only[0]
    assert (again.predictions != first.predictions).sum() > 50  # the flip was learnt, but not by the row's own model


def test_rows_of_one_customer_are_never_in_two_folds_or_splits(toy: Toy, table: TrainingTable) -> None:
    doubled = replace(
        table,
        records=table.records * 2,
        truth=np.tile(table.truth, 2),
        keys=table.keys * 2,
        weights=np.tile(table.weights, 2),
    )
    training = Training(toy.use_case, doubled)
    n = len(table.keys)
    np.testing.assert_array_equal(training.split[:n], training.split[n:])


def test_the_reference_holds_known_rows_with_their_truth_and_none_of_the_test_split(
    toy: Toy, table: TrainingTable, trained: tuple[Training, list[Any], Trained]
) -> None:
    training, _, model = trained
    encoded = Encoder.of(toy.use_case.columns).rows(table.records)
    known = {
        row.tobytes(): truth
        for row, truth in zip(encoded[training.split != TEST], table.truth[training.split != TEST], strict=True)
    }
    assert len(model.reference.rows) == len(known)
    assert all(
        known[row.tobytes()] == truth for row, truth in zip(model.reference.rows, model.reference.truth, strict=True)
    )
    assert np.isfinite(model.reference.predictions).all()
    assert model.reference.smoke.shape == (16,)


def test_masked_copies_follow_the_full_rows_with_their_weight(toy: Toy, table: TrainingTable) -> None:
    training = Training(toy.use_case, table)
    chosen = training.split == TRAIN
    data, n = training.data(chosen), int(chosen.sum())
    optional = np.array([not f.required for f in toy.use_case.columns])
    assert data.rows.shape == (2 * n, len(optional))
    assert np.isnan(data.rows[n:, optional]).all()
    assert not np.isnan(data.rows[:n, optional]).all()
    np.testing.assert_array_equal(data.rows[n:, ~optional], data.rows[:n, ~optional])
    np.testing.assert_array_equal(data.truth[:n], data.truth[n:])
    np.testing.assert_array_equal(data.weights, np.repeat([1.0, toy.use_case.mask_optional], n))


def test_a_use_case_without_masks_has_no_copies(toy: Toy, table: TrainingTable) -> None:
    training = Training(replace(toy.use_case, mask_optional=0.0), table)
    chosen = training.split == TRAIN
    data = training.data(chosen)
    assert len(data.rows) == chosen.sum()
    assert (data.weights == 1).all()


def test_each_row_is_checked_once(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[object] = []
    check = RecordSchema.check
    monkeypatch.setattr(RecordSchema, "check", lambda self, record: checked.append(record) or check(self, record))
    for case in (toy.use_case, load_use_case("flights")):  # with masked copies, and with derived features
        checked.clear()
        table = toys.table(case, 50)
        Training(case, table)
        assert len(checked) == 50
        assert all(isinstance(RecordSchema(case.features).check(record), dict) for record in table.records)


def test_a_trial_can_be_retrained_when_it_is_a_copy(toy: Toy, table: TrainingTable) -> None:
    training = Training(toy.use_case, table)
    trial = next(training.search(1))
    copied = replace(trial, estimator=deepcopy(trial.estimator))
    assert training.retrain(copied).quality == training.retrain(trial).quality


def test_the_best_trials_come_best_first(toy: Toy, trained: tuple[Training, list[Any], Trained]) -> None:
    training, trials, _ = trained
    best = training.best(trials, 2)
    assert [t.loss for t in best] == sorted(t.loss for t in trials)[:2]


def test_a_trials_loss_is_its_metric_on_full_and_masked_validation_rows(
    toy: Toy, trained: tuple[Training, list[Any], Trained]
) -> None:
    for trial in trained[1]:
        figures, weight = trial.figures, toy.use_case.mask_optional
        assert trial.loss == pytest.approx(figures["log_loss"] + weight * figures["required_only_log_loss"])


def test_where_higher_is_better_the_highest_wins(toy: Toy, table: TrainingTable) -> None:
    training = Training(replace(toy.use_case, rank_by="auc", mask_optional=0.0), table)
    trials = list(training.search(3))
    assert training.best(trials, 1)[0].figures["auc"] == max(t.figures["auc"] for t in trials)


def test_the_test_figures_are_those_of_the_test_rows(
    table: TrainingTable, trained: tuple[Training, list[Any], Trained]
) -> None:
    training, _, model = trained
    figures = quality("binary", table.truth[training.split == TEST], model.test_predictions["all fields"])
    assert {f"test_{k}": v for k, v in figures.items()}.items() <= model.quality.items()
    assert "test_required_only_auc" in model.quality and "oof_auc" in model.quality


def test_the_split_is_the_keys_and_the_seeds(toy: Toy, table: TrainingTable) -> None:
    training = Training(toy.use_case, table, seed=5)
    np.testing.assert_array_equal(training.split, assign_splits(table.keys, 5, toy.use_case.split))


def test_a_bundle_scores_as_the_model_that_was_trained(toy: Toy, toy_records: list[dict[str, Any]]) -> None:
    bundle = toy.bundle()
    scorer = bundle.scorer(toy.use_case)
    native = toy.trained.model.predict(scorer.rows(toy_records))
    np.testing.assert_allclose(np.array(scorer.score(toy_records), dtype=float), native, atol=1e-6)
    assert bundle.encoder.columns == toy.training.encoder.columns
    assert set(bundle.manifest.files) == {ONNX, REFERENCE, NATIVE}
    assert bundle.reference.to_bytes() == toy.trained.reference.to_bytes()


def test_amounts_of_which_some_are_nearly_nothing_are_rounded_as_the_usual_ones() -> None:
    """Balances of 500 on average, and many of 0: float32 rounds the sum of their leaves as it rounds 500."""
    rng = np.random.default_rng(0)
    limit, income = rng.gamma(2, 2500, 400).round(), rng.gamma(2, 20, 400).round(1)
    balance = np.maximum(0, limit / 4 - income * 8 - 200 + rng.normal(0, 30, 400)).round()
    features = (Feature(name="limit", kind="number", help=""), Feature(name="income", kind="number", help=""))
    case = UseCase(
        name="cards", version=1, title="", about="", source="", features=features, target="balance", task="amount",
        answer="balance", key="", clean=lambda table: table,
    )  # fmt: skip
    frame = pd.DataFrame({"limit": limit, "income": income, "balance": balance})
    training = Training(with_defaults(case), prepare(frame, case))
    for trial in training.search(TRIALS):
        assert training.retrain(trial).quality["test_rmse"] > 0


def test_retraining_on_outcomes_repairs_what_drift_broke(toy: Toy) -> None:
    joined = add_outcomes(toy.training.table, toy.use_case, documents(800, drift=1.0))
    training = Training(toy.use_case, joined)
    assert training.split[: len(toy.training.split)].tolist() == toy.training.split.tolist()
    assert (training.split[len(toy.training.split) :] == TEST).any()
    mended = training.retrain(training.best(list(training.search(2)), 1)[0])
    window = toys.table(toy.use_case, 1000, seed=99, drift=1.0)
    rows = toy.training.encoder.rows(window.records)
    before, after = (auc(window.truth, model.model.predict(rows)) for model in (toy.trained, mended))
    assert after > before + 0.05


@pytest.mark.parametrize("folds_below", [0, 5_000])
def test_small_tables_rank_trials_on_all_known_rows_and_others_on_validation_rows(
    toy: Toy, table: TrainingTable, folds_below: int
) -> None:
    training = Training(replace(toy.use_case, folds_below=folds_below), table)
    trial = next(training.search(1))
    judged = training.split != TEST if folds_below else training.split == VALID
    assert trial.figures["mean_true"] == pytest.approx(table.truth[judged].mean())
    assert trial.parameters["rounds"] >= 1


def test_the_model_is_the_mean_of_the_best_trials_of_its_estimator(toy: Toy, table: TrainingTable) -> None:
    estimators = tuple(replace(e, average=2) for e in toy.use_case.estimators)
    training = Training(replace(toy.use_case, estimators=estimators), table)
    best = training.best(list(training.search(10)), 1)[0]
    rows = training.encoder.rows(table.records)
    alone = [training.retrain(replace(t, others=())).model.predict(rows) for t in (best, *best.others)]
    mean = training.retrain(best)
    assert len(alone) == 2
    assert mean.model.predict(rows) == pytest.approx(expit(np.mean(logit(alone), axis=0)), abs=1e-5)
    assert mean.model.parameters["averaged"] == 2
