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

from model_orchestration.estimators import Data, Fitted, Trainer, make_trainer, refit, settle
from model_orchestration.tables.training_table import (
    FOLDS,
    TEST,
    VALID,
    TrainingTable,
    assign_folds,
    split_rows,
)
from model_orchestration.training.levels import LearntLevels
from model_orchestration.training.search import AT_A_TIME, Found, Trial, rank, search
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


@dataclass(frozen=True, slots=True)
class View:
    """All rows of a table as one model sees them, in full and, if the use case says so, masked: (n, columns)."""

    full: Matrix
    masked: Matrix | None


class Training:
    """A checked table, split by its keys and encoded once: in full and, if the use case says so, masked."""

    def __init__(self, use_case: UseCase, table: TrainingTable, seed: int = 0):
        """Encode every row as a door does. The table holds checked records, so that derive and encode remain."""
        self.use_case = use_case
        self.table = table
        self.seed = seed
        self.split = split_rows(table, use_case, seed)
        self._known = self.split != TEST
        self._levels = LearntLevels(use_case, table.records, table.truth, table.weights, self._folds())
        self.encoder = Encoder.of(use_case.columns, self._levels.columns(self._known))
        self._full = self._encode(table.records)
        self._masked = self._encode(_without_optional(use_case, table.records)) if use_case.mask_optional > 0 else None
        self._held_out = self._choose_held_out()
        self._views = [self._view(self._known & ~part) for part in self._held_out]
        self._trainers = [self._trainers_of(estimator) for estimator in use_case.estimators]

    def data(self, chosen: NDArray[np.bool_], view: View | None = None) -> Data:
        """Return the chosen rows and, if the use case says so, a copy of each without its optional fields.

        They are those of `view`, by default as a model sees them that learns from them.
        """
        truth = self.table.truth[chosen]
        weights = self.table.weights[chosen]
        seen = view or self._view(chosen)
        if seen.masked is None:
            return Data(seen.full[chosen], truth, weights)
        rows = np.vstack([seen.full[chosen], seen.masked[chosen]])
        return Data(rows, np.tile(truth, 2), np.concatenate([weights, weights * self.use_case.mask_optional]))

    def search(self, trials: int) -> Iterator[Trial]:
        """Yield trials as they finish. No trial sees a test row."""
        yield from search(self.use_case.estimators, self._fit, trials, self.seed)

    def best(self, trials: list[Trial], count: int) -> list[Trial]:
        """Return the `count` best trials, best first, each with those with which it is averaged."""
        return rank(trials)[:count]

    def retrain(self, trial: Trial) -> Trained:
        """Fit the trial's parameters on the training and validation rows, then judge the model once, on the test rows.

        The model is the mean of the trial's and those of `trial.others`.

        Raises:
            BundleError: the ONNX form does not give the same predictions as the model itself.
        """
        known = self._known
        view = self._view(known)
        trainer = self._trainers_for(trial.estimator)[0]
        parameters = [t.parameters for t in (trial, *trial.others)]
        model = refit(trainer, parameters, self.data(known, view))
        onnx, output = model.onnx()
        out_of_fold, required_only = self._out_of_fold(known, lambda data: refit(trainer, parameters, data))
        predict = OnnxModel(onnx, output)
        for rows in (view.full, *([] if view.masked is None else [view.masked])):
            self._check_onnx(model, predict, rows)
        full, masked = self._no_predictions()
        self._fill(full, masked, ~known, model, view)
        truth, predictions = self.table.truth[~known], {"all fields": full[~known]}
        if view.masked is not None:
            predictions["required fields only"] = masked[~known]
        reference = self._reference(view, out_of_fold, required_only, predict)
        out_of_fold_figures = quality(self.use_case.task, self.table.truth[known], out_of_fold[known])
        figures = {f"test_{name}": value for name, value in self._judge(full, masked, ~known).items()}
        figures |= {f"oof_{name}": value for name, value in out_of_fold_figures.items()}
        figures |= {f"valid_{name}": value for name, value in trial.figures.items()}
        return Trained(model, trial.estimator.family, onnx, output, figures, reference, truth, predictions)

    def _out_of_fold(
        self, known: NDArray[np.bool_], fit: Callable[[Data], Fitted]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict each known row, in full and without its optional fields, with a model fitted on the other folds."""
        full, masked = self._no_predictions()

        def predict(held_out: NDArray[np.bool_]) -> None:
            learnt = known & ~held_out
            view = self._view(learnt)
            self._fill(full, masked, held_out, fit(self.data(learnt, view)), view)

        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(predict, self._folds()))
        return full, masked

    def _no_predictions(self) -> NDArray[np.float64]:
        """Return room for the predictions of every row, in full and masked."""
        classes = self.use_case.classes
        return np.full((2, len(self.split), *([len(classes)] if classes else [])), np.nan)

    def _fill(
        self,
        full: NDArray[np.float64],
        masked: NDArray[np.float64],
        chosen: NDArray[np.bool_],
        model: Fitted,
        view: View,
    ) -> None:
        """Put the model's predictions of the chosen rows into their places."""
        full[chosen] = model.predict(view.full[chosen])
        if view.masked is not None:
            masked[chosen] = model.predict(view.masked[chosen])

    def _view(self, learnt: NDArray[np.bool_]) -> View:
        """Return all rows as a model sees them that learns from the rows `learnt`."""
        columns = self.encoder.columns
        full = self._levels.seen_by(learnt, self._full, columns)
        if self._masked is None:
            return View(full, None)
        optional = {f.name for f in self.use_case.features if not f.required}
        return View(full, self._levels.seen_by(learnt, self._masked, columns, without=optional))

    def _folds(self) -> list[NDArray[np.bool_]]:
        """Return the rows of each fold of cross-validation. No fold has a test row."""
        fold = assign_folds(self.table.keys, self.seed)
        parts = [self._known & (fold == k) for k in range(FOLDS)]
        return [part for part in parts if part.any()]

    def _choose_held_out(self) -> list[NDArray[np.bool_]]:
        """Return the rows by which trials are ranked: each part by models that learn from the rest of the known rows.

        A validation split of a small table says little: which of 50 trials is best on its rows is mostly luck.
        """
        small = self.table.times is None and int(self._known.sum()) < self.use_case.folds_below
        return self._folds() if small else [self.split == VALID]

    def _trainers_of(self, estimator: Estimator) -> list[Trainer]:
        """Return a trainer for each part of the rows by which trials are ranked."""
        task, classes, columns = self.use_case.task, len(self.use_case.classes), self.encoder.columns
        return [
            make_trainer(estimator, task, columns, self.data(self._known & ~part, view), self.data(part, view), classes)
            for part, view in zip(self._held_out, self._views, strict=True)
        ]

    def _encode(self, records: Iterable[Record]) -> Matrix:
        derive = derivation(self.use_case.features, self.use_case.derive)
        return self.encoder.rows(derive(r) for r in records)

    def _trainers_for(self, estimator: Estimator) -> list[Trainer]:
        """Return the trainers of an estimator of the use case, which may be a copy of it."""
        return self._trainers[self.use_case.estimators.index(estimator)]

    def _fit(self, estimator: Estimator, parameters: dict[str, Any]) -> Found:
        settled, models = settle([trainer.fit(parameters) for trainer in self._trainers_for(estimator)])
        full, masked = self._no_predictions()
        for part, model, view in zip(self._held_out, models, self._views, strict=True):
            self._fill(full, masked, part, model, view)
        figures = self._judge(full, masked, np.logical_or.reduce(self._held_out))
        metric = self.use_case.rank_by
        loss = figures[metric] + self.use_case.mask_optional * figures.get(f"required_only_{metric}", 0.0)
        return settled, figures, -loss if better(metric, 1, 0) else loss

    def _judge(
        self, full: NDArray[np.float64], masked: NDArray[np.float64], chosen: NDArray[np.bool_]
    ) -> dict[str, float]:
        """Return the figures of predictions for the chosen rows and for their copies without optional fields."""
        task = self.use_case.task
        truth = self.table.truth[chosen]
        figures = quality(task, truth, full[chosen])
        if self._masked is not None:
            required_only = quality(task, truth, masked[chosen])
            figures |= {f"required_only_{name}": value for name, value in required_only.items()}
        return figures

    def _reference(
        self,
        view: View,
        out_of_fold: NDArray[np.float64],
        required_only: NDArray[np.float64],
        predict: Predict,
    ) -> Reference:
        chosen = np.flatnonzero(self._known)
        rng = np.random.default_rng(self.seed)
        chosen = rng.permutation(chosen)[:REFERENCE_ROWS]
        rows = view.full[chosen]
        smoke = np.asarray(predict(rows[:SMOKE_ROWS]), dtype=np.float64)
        masked = required_only[chosen] if self._masked is not None else None
        return Reference(rows, out_of_fold[chosen], self.table.truth[chosen], smoke, masked)

    def _check_onnx(self, model: Fitted, predict: Predict, rows: Matrix) -> None:
        """Raise BundleError if ONNX (`predict`) answers differently from `model`."""
        expected = model.predict(rows)
        difference = np.abs(np.asarray(predict(rows)) - expected)
        # Boosted trees answer the nearest of ordered classes: rounding decides for a row on the boundary of two.
        on_boundaries = len(rows) // 1000 if self.use_case.task == "ordinal" else 0
        if (difference > rounding(ROUNDING[self.use_case.task], expected)).sum() > on_boundaries:
            raise BundleError(
                f"the exported ONNX model's predictions differ by up to {difference.max():.3g} from the original "
                "model's, so nothing was registered; please report this as a bug"
            )


def _without_optional(use_case: UseCase, records: Iterable[Record]) -> Iterator[Record]:
    required = {f.name for f in use_case.features if f.required}
    return ({k: v for k, v in record.items() if k in required} for record in records)
