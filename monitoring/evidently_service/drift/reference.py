"""The reference of one run, with which its windows are compared: like with like in what records leave out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monitoring.evidently_service.drift.dependence import design_effect
from monitoring.evidently_service.drift.observed import Flags, Observed, RunColumns
from monitoring.evidently_service.drift.statistics import Column, Floats, Sample, Table, prepare
from monitoring.evidently_service.drift.verdict import DEFAULT_RULE
from scorehouse.bundles.reference import Reference
from scorehouse.scoring.classes import chance_column

PREDICTION = "prediction"
MOST_CHANCES = 20  # classes up to which the chance of each is compared, besides the predicted class


class RunReference:
    """The reference rows of one run; each column is sorted once."""

    def __init__(self, reference: Reference, columns: RunColumns):
        """Prepare the features. Predictions are prepared for each window: they depend on what its records contain."""
        self.rows = len(reference.rows)
        self._reference = reference
        self._columns = columns
        self._features = prepare(reference.rows.astype(np.float64), columns.columns).columns

    def tables(self, window: Observed) -> tuple[Table, Table]:
        """Return reference and window, by column and `prediction`; of several classes also the chance of each.

        A feature is compared over the records that contain it. If none does, it is in neither table: an unsent field is
        not drift.
        """
        rows = window.rows.astype(np.float64)
        all_sent = prepare(rows, self._columns.columns).columns
        counts = window.sent.sum(axis=0)
        features = {
            name: _with_dependence(Sample(sample.kind, sample.present, int(count)), rows[window.sent[:, i], i])
            for i, ((name, sample), count) in enumerate(zip(all_sent.items(), counts, strict=True))
            if count
        }
        reference = {name: self._features[name] for name in features}
        expected, seen = self._comparable_predictions(window)
        if len(seen):
            answered, (expected, seen) = self._answered(), (self._spread(expected), self._spread(seen))
            reference |= {name: _with_tolerance(s) for name, s in prepare(expected, answered).columns.items()}
            for place, (name, sample) in enumerate(prepare(seen, answered).columns.items()):
                features[name] = _with_dependence(sample, seen[:, place])
        return Table(reference, self.rows), Table(features, len(window))

    def groups(self, window: Observed) -> tuple[Flags, Flags]:
        """Return which records, (n,), contain every optional field, and which contain none.

        The reference has no predictions for records that contain only some of them, and some references have none for
        records without any.
        """
        sent = window.sent[:, self._columns.optional]
        count = sent.sum(axis=1)
        all_fields = sent.shape[1]
        bare = (count == 0) & (all_fields > 0) & (self._reference.required_only is not None)
        return count == all_fields, bare

    def _comparable_predictions(self, window: Observed) -> tuple[Floats, Floats]:
        """Predictions of reference and window, with the same share of records without optional fields.

        The reference's rows are in random order, so its first rows are a sample.
        """
        complete, bare = self.groups(window)
        seen = window.predictions[complete | bare]
        expected = self._reference.predictions
        required_only = self._reference.required_only
        if required_only is not None and len(seen):
            without = round(self.rows * bare.sum() / len(seen))
            expected = np.concatenate([required_only[:without], expected[without:]])
        return expected, seen

    def _answered(self) -> list[Column]:
        """The columns of a prediction."""
        classes = self._columns.classes
        if not classes:
            return [(PREDICTION, "number")]
        chances: list[Column] = [(chance_column(name), "number") for name in classes]
        return [(PREDICTION, "category"), *(chances if len(classes) <= MOST_CHANCES else [])]

    def _spread(self, predictions: Floats) -> Floats:
        """Return predictions as the values of their columns, (n, columns)."""
        if not self._columns.classes:
            return predictions[:, None]
        predicted = predictions.argmax(axis=1).astype(np.float64)
        return np.column_stack([predicted, predictions])[:, : len(self._answered())]


def _with_tolerance(predictions: Sample) -> Sample:
    """Return predictions of the reference. Other models made them, on fewer rows, than the one that answers."""
    if predictions.kind == "category":
        return predictions
    return replace(predictions, tolerance=DEFAULT_RULE.prediction_tolerance * predictions.deviation)


def _with_dependence(sample: Sample, values: Floats) -> Sample:
    """Return the sample with the design effect of its values in the records' order."""
    return replace(sample, design_effect=design_effect(values, sample))
