"""What one run's windows are compared with: its reference, prepared once, and alike in what records leave out."""

from __future__ import annotations

import numpy as np

from monitoring.evidently_service.drift.observed import Flags, Observed, RunColumns
from monitoring.evidently_service.drift.statistics import Floats, Sample, Table, prepare
from scorehouse.bundles.reference import Reference

PREDICTION = "prediction"


class RunReference:
    """The reference rows of one run, each column sorted once."""

    def __init__(self, reference: Reference, columns: RunColumns):
        """Prepare every feature; predictions depend on what the window's records carried."""
        self.rows, self._reference, self._columns = len(reference.rows), reference, columns
        self._features = prepare(reference.rows.astype(np.float64), columns.columns).columns

    def tables(self, window: Observed) -> tuple[Table, Table]:
        """Return reference and window, by column and `prediction`.

        A feature is compared over the records that carry it. One that none carries is in neither table: a client that
        does not send a field is no drift.
        """
        all_sent = prepare(window.rows.astype(np.float64), self._columns.columns).columns
        counts = window.sent.sum(axis=0)
        features = {
            name: Sample(sample.kind, sample.present, int(count))
            for (name, sample), count in zip(all_sent.items(), counts, strict=True)
            if count
        }
        reference = {name: self._features[name] for name in features}
        expected, seen = self._alike(window)
        if len(seen):
            reference |= prepare(expected[:, None], [(PREDICTION, "number")]).columns
            features |= prepare(seen[:, None], [(PREDICTION, "number")]).columns
        return Table(reference, self.rows), Table(features, len(window))

    def groups(self, window: Observed) -> tuple[Flags, Flags]:
        """Return which records, (n,), carry every optional field, and which carry none; the latter only where known.

        A record with some of them has no like among the reference's predictions.
        """
        sent = window.sent[:, self._columns.optional]
        count, most = sent.sum(axis=1), sent.shape[1]
        bare = (count == 0) & (most > 0) & (self._reference.required_only is not None)
        return count == most, bare

    def _alike(self, window: Observed) -> tuple[Floats, Floats]:
        """The predictions that can be compared: the reference's with as large a share of bare records as the window's.

        The reference's rows are in random order, so the first of them are a sample.
        """
        complete, bare = self.groups(window)
        seen = window.predictions[complete | bare]
        expected, required_only = self._reference.predictions, self._reference.required_only
        if required_only is not None and len(seen):
            without = round(self.rows * bare.sum() / len(seen))
            expected = np.concatenate([required_only[:without], expected[without:]])
        return expected, seen
