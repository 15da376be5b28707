"""One training: split, encode, search, retrain the best trial and judge it once.

It needs no MLflow, no Prefect and no clock, so tests can train for real.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_orchestration.estimators import Data, Fitted, Trainer, make_trainer
from model_orchestration.tables.training_table import (
    FOLDS,
    TEST,
    TRAIN,
    VALID,
    TrainingTable,
    assign_folds,
    assign_splits,
)
from model_orchestration.training.search import AT_A_TIME, Trial, search
from scorehouse.bundles.bundle import SMOKE_ROWS, rounding
from scorehouse.bundles.reference import Reference
from scorehouse.errors import BundleError
from scorehouse.scoring.derivation import derivation
from scorehouse.scoring.encoding import Encoder, Matrix
from scorehouse.scoring.onnx_model import OnnxModel, Output
from scorehouse.scoring.quality import better, quality
from scorehouse.scoring.scorer import Predict
from scorehouse.usecase import Estimator, Record, UseCase

REFERENCE_ROWS = 5_000
# How far ONNX may differ from the model itself, because it adds hundreds of trees in float32: 800 trees differ by 1e-6
# of a chance, 300 trees by 1e-5 of an amount.
ROUNDING = {"binary": 1e-5, "amount": 1e-4, "ordinal": 1e-5, "multiclass": 1e-5}


@dataclass(frozen=True, slots=True)
class Trained:
    """A retrained model, its figures by name (test_auc, oof_auc, …), and everything that its bundle and plots need."""

    model: Fitted
    family: str
    onnx: bytes
    output: Output
    quality: dict[str, float]
    reference: Reference
    test_truth: NDArray[np.float64]
    test_predictions: Mapping[str, NDArray[np.float64]]  # "all fields", and "required fields only" where they differ

    @property
    def confusion(self) -> list[list[int]]:
        """How many test rows of each true class (outer) got each class as the answer; empty without several classes."""
        chances = self.test_predictions["all fields"]
        if chances.ndim == 1:
            return []
        counts = np.zeros((chances.shape[1],) * 2, dtype=np.int64)
        np.add.at(counts, (self.test_truth.astype(np.intp), chances.argmax(axis=1)), 1)
        rows: list[list[int]] = counts.tolist()
        return rows


class Training:
    """A checked table, split by its keys and encoded once: in full and, if the use case says so, masked."""

    def __init__(self, use_case: UseCase, table: TrainingTable, seed: int = 0):
        """Encode every row as a door does. The table holds checked records, so that derive and encode remain."""
        self.use_case = use_case
        self.table = table
        self.seed = seed
        self.encoder = Encoder.of(use_case.columns)
        self.split = assign_splits(table.keys, seed, use_case.split)
        self._full = self._encode(table.records)
        self._masked = self._encode(_without_optional(use_case, table.records)) if use_case.mask_optional > 0 else None
        train = self.data(self.split == TRAIN)
        valid = self.data(self.split == VALID)
        self._trainers = [
            make_trainer(e, use_case.task, self.encoder.columns, train, valid, len(use_case.classes))
            for e in use_case.estimators
        ]

    def data(self, chosen: NDArray[np.bool_]) -> Data:
        """Return the chosen rows and, if the use case says so, a copy of each without its optional fields."""
        truth = self.table.truth[chosen]
        weights = self.table.weights[chosen]
        if self._masked is None:
            return Data(self._full[chosen], truth, weights)
        rows = np.vstack([self._full[chosen], self._masked[chosen]])
        return Data(rows, np.tile(truth, 2), np.concatenate([weights, weights * self.use_case.mask_optional]))

    def search(self, trials: int) -> Iterator[Trial]:
        """Yield trials as they finish. No trial sees a test row."""
        yield from search(self.use_case.estimators, self._fit, trials, self.seed)

    def best(self, trials: list[Trial], count: int) -> list[Trial]:
        """Return the `count` best trials, best first."""
        return sorted(trials, key=lambda t: t.loss)[:count]

    def retrain(self, trial: Trial) -> Trained:
        """Fit the trial's parameters on the training and validation rows, then judge the model once, on the test rows.

        Raises:
            BundleError: the ONNX form does not give the same predictions as the model itself.
        """
        known = self.split != TEST
        refit = self._trainer(trial.estimator).refit
        parameters = trial.model.parameters
        model = refit(parameters, self.data(known))
        onnx, output = model.onnx()
        out_of_fold, required_only = self._out_of_fold(known, lambda data: refit(parameters, data))
        predict = OnnxModel(onnx, output)
        self._check_onnx(model, predict, self._full)
        if self._masked is not None:
            self._check_onnx(model, predict, self._masked)
        reference = self._reference(known, out_of_fold, required_only, predict)
        truth, predictions = self._test_predictions(model)
        out_of_fold_figures = quality(self.use_case.task, self.table.truth[known], out_of_fold[known])
        figures = {f"test_{name}": value for name, value in self._judge(model, self.split == TEST).items()}
        figures |= {f"oof_{name}": value for name, value in out_of_fold_figures.items()}
        figures |= {f"valid_{name}": value for name, value in trial.figures.items()}
        return Trained(model, trial.estimator.family, onnx, output, figures, reference, truth, predictions)

    def _out_of_fold(
        self, known: NDArray[np.bool_], fit: Callable[[Data], Fitted]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict each known row, in full and without its optional fields, with a model fitted on the other folds."""
        classes = self.use_case.classes
        full, masked = np.full((2, len(known), *([len(classes)] if classes else [])), np.nan)
        fold = assign_folds(self.table.keys, self.seed)

        def predict(k: int) -> None:
            model = fit(self.data(known & (fold != k)))
            held_out = known & (fold == k)
            full[held_out] = model.predict(self._full[held_out])
            if self._masked is not None:
                masked[held_out] = model.predict(self._masked[held_out])

        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(predict, range(FOLDS)))
        return full, masked

    def _encode(self, records: Iterable[Record]) -> Matrix:
        derive = derivation(self.use_case.features, self.use_case.derive)
        return self.encoder.rows(derive(r) for r in records)

    def _trainer(self, estimator: Estimator) -> Trainer:
        """Return the trainer of an estimator of the use case, which may be a copy of it."""
        return self._trainers[self.use_case.estimators.index(estimator)]

    def _fit(self, estimator: Estimator, parameters: dict[str, Any]) -> tuple[Fitted, dict[str, float], float]:
        model = self._trainer(estimator).fit(parameters)
        figures = self._judge(model, self.split == VALID)
        metric = self.use_case.rank_by
        loss = figures[metric] + self.use_case.mask_optional * figures.get(f"required_only_{metric}", 0.0)
        return model, figures, -loss if better(metric, 1, 0) else loss

    def _judge(self, model: Fitted, chosen: NDArray[np.bool_]) -> dict[str, float]:
        """Return the model's figures on the chosen rows and on their copies without optional fields."""
        task = self.use_case.task
        truth = self.table.truth[chosen]
        figures = quality(task, truth, model.predict(self._full[chosen]))
        if self._masked is not None:
            masked = quality(task, truth, model.predict(self._masked[chosen]))
            figures |= {f"required_only_{name}": value for name, value in masked.items()}
        return figures

    def _test_predictions(self, model: Fitted) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
        test = self.split == TEST
        predictions = {"all fields": model.predict(self._full[test])}
        if self._masked is not None:
            predictions["required fields only"] = model.predict(self._masked[test])
        return self.table.truth[test], predictions

    def _reference(
        self,
        known: NDArray[np.bool_],
        out_of_fold: NDArray[np.float64],
        required_only: NDArray[np.float64],
        predict: Predict,
    ) -> Reference:
        chosen = np.flatnonzero(known)
        rng = np.random.default_rng(self.seed)
        chosen = rng.permutation(chosen)[:REFERENCE_ROWS]
        rows = self._full[chosen]
        smoke = np.asarray(predict(rows[:SMOKE_ROWS]), dtype=np.float64)
        masked = required_only[chosen] if self._masked is not None else None
        return Reference(rows, out_of_fold[chosen], self.table.truth[chosen], smoke, masked)

    def _check_onnx(self, model: Fitted, predict: Predict, rows: Matrix) -> None:
        """Raise BundleError if ONNX (`predict`) answers differently from `model`."""
        expected = model.predict(rows)
        difference = np.abs(np.asarray(predict(rows)) - expected)
        if (difference > rounding(ROUNDING[self.use_case.task], expected)).any():
            raise BundleError(
                f"the exported ONNX model's predictions differ by up to {difference.max():.3g} from the original "
                "model's, so nothing was registered; please report this as a bug"
            )


def _without_optional(use_case: UseCase, records: Iterable[Record]) -> Iterator[Record]:
    required = {f.name for f in use_case.features if f.required}
    return ({k: v for k, v in record.items() if k in required} for record in records)
