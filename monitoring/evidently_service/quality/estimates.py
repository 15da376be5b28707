"""Estimated quality of one run, before outcomes arrive: fitted once to its reference, then computed for windows."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from monitoring.evidently_service.drift.observed import Flags, Observed, RunColumns
from monitoring.evidently_service.drift.reference import RunReference
from monitoring.evidently_service.drift.statistics import Floats
from monitoring.evidently_service.quality.estimated_quality import (
    AbsoluteErrorModel,
    PlattCalibration,
    Temperature,
    estimate_binary,
    estimate_classes,
)
from scorehouse.bundles.reference import Reference
from scorehouse.usecase import Task

Figures = dict[str, float]


class Estimates:
    """Estimates AUC, accuracy and log loss of classifiers, and the absolute error of amounts and ordered classes."""

    def __init__(self, task: Task, reference: Reference, columns: RunColumns):
        """Fit nothing yet: that happens at the first window."""
        self._task = task
        self._reference = reference
        self._columns = columns

    def estimate(self, window: Observed, reference: RunReference) -> tuple[Figures, int]:
        """Return the figures and the number of their records: those with like records in the reference."""
        complete, bare = reference.groups(window)
        known = complete | bare
        if self._task == "binary":
            expected = estimate_binary(window.predictions[known], self._chances(window.predictions, complete, bare))
            figures = {"auc": expected.auc, "accuracy": expected.accuracy}
        elif self._task == "multiclass":
            calibrated = self._chances(window.predictions, complete, bare)
            figures = {**estimate_classes(window.predictions[known], calibrated)}
        else:
            rows = window.rows[known].astype(np.float64)
            figures = {"mae": self._errors.estimate(rows, window.predictions[known]).mae}
        return {name: value for name, value in figures.items() if value is not None}, int(known.sum())

    def _chances(self, scores: Floats, complete: Flags, bare: Flags) -> Floats:
        chances = np.full(scores.shape, np.nan)
        chances[complete] = self._calibration.probability(scores[complete])
        if bare.any():
            chances[bare] = self._bare_calibration.probability(scores[bare])
        return chances[complete | bare]

    @cached_property
    def _calibration(self) -> PlattCalibration | Temperature:
        return self._fit(self._reference.predictions, self._reference.truth)

    @cached_property
    def _bare_calibration(self) -> PlattCalibration | Temperature:
        scores = self._reference.required_only
        return self._fit(self._reference.predictions if scores is None else scores, self._reference.truth)

    @property
    def _fit(self) -> Callable[[Floats, Floats], PlattCalibration | Temperature]:
        return Temperature.fit if self._task == "multiclass" else PlattCalibration.fit

    @cached_property
    def _errors(self) -> AbsoluteErrorModel:
        reference = self._reference
        rows = reference.rows.astype(np.float64)
        if reference.required_only is None:
            return AbsoluteErrorModel.fit(rows, reference.predictions, reference.truth)
        bare = np.where(self._columns.optional, np.nan, rows)
        scores = np.concatenate([reference.predictions, reference.required_only])
        return AbsoluteErrorModel.fit(np.vstack([rows, bare]), scores, np.tile(reference.truth, 2))
