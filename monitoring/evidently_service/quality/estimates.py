"""Quality before outcomes arrive, for one run: learnt once from its reference, then asked for each window."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from monitoring.evidently_service.drift.observed import Flags, Observed, RunColumns
from monitoring.evidently_service.drift.reference import RunReference
from monitoring.evidently_service.drift.statistics import Floats
from monitoring.evidently_service.quality.estimated_quality import AbsoluteErrorModel, PlattCalibration, estimate_binary
from scorehouse.bundles.reference import Reference
from scorehouse.usecase import Task

Figures = dict[str, float]


class Estimates:
    """Expected AUC and accuracy of a classifier; expected absolute error of amounts and ordered classes."""

    def __init__(self, task: Task, reference: Reference, columns: RunColumns):
        """Learn nothing yet: the first window does."""
        self._task, self._reference, self._columns = task, reference, columns

    def of(self, window: Observed, compared: RunReference) -> tuple[Figures, int]:
        """Return the figures and of how many records they are: those whose like the reference has."""
        complete, bare = compared.groups(window)
        known = complete | bare
        if self._task == "binary":
            expected = estimate_binary(window.predictions[known], self._chances(window.predictions, complete, bare))
            found = {"auc": expected.auc, "accuracy": expected.accuracy}
        else:
            rows = window.rows[known].astype(np.float64)
            found = {"mae": self._errors.estimate(rows, window.predictions[known]).mae}
        return {name: value for name, value in found.items() if value is not None}, int(known.sum())

    def _chances(self, scores: Floats, complete: Flags, bare: Flags) -> Floats:
        chances = np.full(len(scores), np.nan)
        chances[complete] = self._calibration.probability(scores[complete])
        if bare.any():
            chances[bare] = self._bare_calibration.probability(scores[bare])
        return chances[complete | bare]

    @cached_property
    def _calibration(self) -> PlattCalibration:
        return PlattCalibration.fit(self._reference.predictions, self._reference.truth)

    @cached_property
    def _bare_calibration(self) -> PlattCalibration:
        scores = self._reference.required_only
        return PlattCalibration.fit(self._reference.predictions if scores is None else scores, self._reference.truth)

    @cached_property
    def _errors(self) -> AbsoluteErrorModel:
        known = self._reference
        rows = known.rows.astype(np.float64)
        if known.required_only is None:
            return AbsoluteErrorModel.fit(rows, known.predictions, known.truth)
        bare = np.where(self._columns.optional, np.nan, rows)
        scores = np.concatenate([known.predictions, known.required_only])
        return AbsoluteErrorModel.fit(np.vstack([rows, bare]), scores, np.tile(known.truth, 2))
