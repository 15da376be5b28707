"""One training: split, encode, search, retrain the best, judge it once. Pure: no MLflow, no Prefect, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_orchestration.estimators import Data, Fitted, trainer
from model_orchestration.tables.training_table import TEST, TRAIN, VALID, TrainingTable, sides
from model_orchestration.training.search import AT_A_TIME, Trial, search
from scorehouse.bundles.bundle import SMOKE_ROWS
from scorehouse.bundles.reference import Reference
from scorehouse.errors import BundleError
from scorehouse.scoring.encoding import Encoder, Matrix
from scorehouse.scoring.onnx_model import OnnxModel, Output
from scorehouse.scoring.quality import better, quality
from scorehouse.scoring.schema import RecordSchema
from scorehouse.scoring.scorer import Predict
from scorehouse.usecase import Estimator, UseCase

FOLDS = 5
REFERENCE_ROWS = 5_000
# What sums in float32 may differ by: hundreds of trees (800 of them by 1e-6 of a chance, 300 by 1e-5 of an amount).
ROUNDING = {"binary": 1e-5, "amount": 1e-4, "ordinal": 1e-5}


@dataclass(frozen=True, slots=True)
class Trained:
    """A retrained model, its figures by name (test_auc, oof_auc, …), and all that its bundle and plots are made of."""

    model: Fitted
    family: str
    onnx: bytes
    output: Output
    quality: dict[str, float]
    reference: Reference
    test_truth: NDArray[np.float64]
    test_predictions: Mapping[str, NDArray[np.float64]]  # "all fields", and "required fields only" where they differ


class Training:
    """A checked table, split by its keys and encoded once, full and (where the use case says so) masked."""

    def __init__(self, use_case: UseCase, table: TrainingTable, seed: int = 0):
        """Encode every row by the path that serves: schema, derive, encoder."""
        self.use_case, self.table, self.seed = use_case, table, seed
        self.encoder = Encoder.of(use_case.columns)
        self.side = sides(table.keys, seed, use_case.split)
        required = {f.name for f in use_case.features if f.required}
        self._full = self._encode(table.records)
        self._masked = (
            self._encode([{k: v for k, v in r.items() if k in required} for r in table.records])
            if use_case.mask_optional > 0
            else None
        )
        train, valid = self.data(self.side == TRAIN), self.data(self.side == VALID)
        task, columns = use_case.task, self.encoder.columns
        self._trainers = {id(e): trainer(e, task, columns, train, valid) for e in use_case.estimators}

    def data(self, chosen: NDArray[np.bool_]) -> Data:
        """Return the chosen rows as they are and, where the use case says so, once more without optional fields."""
        truth, weights = self.table.truth[chosen], self.table.weights[chosen]
        if self._masked is None:
            return Data(self._full[chosen], truth, weights)
        rows = np.vstack([self._full[chosen], self._masked[chosen]])
        return Data(rows, np.tile(truth, 2), np.concatenate([weights, weights * self.use_case.mask_optional]))

    def search(self, trials: int) -> Iterator[Trial]:
        """Yield trials as they finish; none of them sees a test row."""
        yield from search(self.use_case.estimators, self._fit, trials, self.seed)

    def best(self, trials: list[Trial], count: int) -> list[Trial]:
        """Return the `count` best trials, best first."""
        return sorted(trials, key=lambda t: t.loss)[:count]

    def retrain(self, trial: Trial) -> Trained:
        """Fit the trial's parameters on training and validation rows, and judge the result on the test rows, once.

        Raises:
            BundleError: its ONNX form gives other predictions than the model itself.
        """
        known = self.side != TEST
        refit = self._trainers[id(trial.estimator)].refit
        parameters = trial.model.parameters
        model = refit(parameters, self.data(known))
        onnx, output = model.onnx()
        out_of_fold, required_only = self._out_of_fold(known, lambda data: refit(parameters, data))
        predict = OnnxModel(onnx, output)
        self._agree(model, predict(self._full), self._full)
        if self._masked is not None:
            self._agree(model, predict(self._masked), self._masked)
        reference = self._reference(known, out_of_fold, required_only, predict)
        truth, predictions = self._test_predictions(model)
        figures = {f"test_{name}": value for name, value in self._judge(model, self.side == TEST).items()}
        figures |= {
            f"oof_{k}": v for k, v in quality(self.use_case.task, self.table.truth[known], out_of_fold[known]).items()
        }
        figures |= {f"valid_{name}": value for name, value in trial.figures.items()}
        return Trained(model, trial.estimator.family, onnx, output, figures, reference, truth, predictions)

    def _out_of_fold(
        self, known: NDArray[np.bool_], fit: Callable[[Data], Fitted]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict each known row by a model fitted on the other folds: as it is, and without its optional fields."""
        full, masked = np.full((2, len(known)), np.nan)
        fold = sides(self.table.keys, self.seed + 1_000_003, (1 / FOLDS,) * (FOLDS - 1))

        def predict(k: int) -> None:
            part, held_out = fit(self.data(known & (fold != k))), known & (fold == k)
            full[held_out] = part.predict(self._full[held_out])
            if self._masked is not None:
                masked[held_out] = part.predict(self._masked[held_out])

        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(predict, range(FOLDS)))
        return full, masked

    def _encode(self, records: list[dict[str, Any]]) -> Matrix:
        check, derive = RecordSchema(self.use_case.features).check, self.use_case.derive
        checked = [check(r) for r in records] if self.use_case.derived else records
        return self.encoder.rows([derive(r) for r in checked])  # type: ignore[arg-type]

    def _fit(self, estimator: Estimator, parameters: dict[str, Any]) -> tuple[Fitted, dict[str, float], float]:
        model = self._trainers[id(estimator)].fit(parameters)
        figures = self._judge(model, self.side == VALID)
        metric, weight = self.use_case.rank_by, self.use_case.mask_optional
        loss = figures[metric] + weight * figures.get(f"required_only_{metric}", 0.0)
        return model, figures, -loss if better(metric, 1, 0) else loss

    def _judge(self, model: Fitted, chosen: NDArray[np.bool_]) -> dict[str, float]:
        """The model's figures on the chosen rows, and on their copies without optional fields."""
        task, truth = self.use_case.task, self.table.truth[chosen]
        figures = quality(task, truth, model.predict(self._full[chosen]))
        if self._masked is not None:
            masked = quality(task, truth, model.predict(self._masked[chosen]))
            figures |= {f"required_only_{name}": value for name, value in masked.items()}
        return figures

    def _test_predictions(self, model: Fitted) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
        test = self.side == TEST
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

    def _agree(self, model: Fitted, onnx: NDArray[Any], rows: Matrix) -> None:
        own = model.predict(rows)
        if (np.abs(onnx - own) > ROUNDING[self.use_case.task] * np.maximum(1.0, np.abs(own))).any():
            worst = float(np.abs(onnx - own).max())
            raise BundleError(f"the ONNX form differs from the model by up to {worst:.3g}: nothing is registered")
