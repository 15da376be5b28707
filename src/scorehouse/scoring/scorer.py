"""The one path from records to predictions or errors. It is pure: it opens nothing and keeps nothing."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorehouse.scoring.encoding import Encoder, Matrix
from scorehouse.scoring.schema import FieldError, RecordSchema, Rejected
from scorehouse.usecase import Record, as_it_is

Prediction = float | int | list[float]  # of several classes: the chance of each
NO_ANSWER = Rejected(
    (FieldError("", None, "the model's prediction is not finite", "values like those in the training data"),)
)
# Rows (n, columns) -> one number per row, (n,), or the chances of several classes, (n, classes).
Predict = Callable[[Matrix], NDArray[Any]]
FEW = 3  # so many records are scored faster one by one than as a batch
PredictOne = Callable[["array[float]"], Prediction]  # one row of float32 values -> its number, or its chances


class Scorer:
    """A model behind its schema, its derived features and its encoder."""

    def __init__(
        self,
        schema: RecordSchema,
        derive: Callable[[Record], Record],
        encoder: Encoder,
        predict: Predict,
        predict_one: PredictOne | None = None,
    ):
        """`predict_one` returns what `predict` returns for one row, but faster."""
        self.schema, self.derive, self.encoder, self.predict = schema, derive, encoder, predict
        self._predict_one = predict_one

    def rows(self, records: Sequence[Record]) -> Matrix:
        """Return the rows that the model sees for records that were checked, shape (records, columns)."""
        derive = self.derive
        return self.encoder.rows([derive(r) for r in records])

    def score(self, records: Sequence[object]) -> list[Prediction | Rejected]:
        """Score each record. A bad one gets its reasons in its place, and does not affect the others."""
        prepare = self.schema.check if self.derive is as_it_is else self._derived
        ready = [prepare(record) for record in records]
        good = [record for record in ready if not isinstance(record, Rejected)]
        if not good:
            return [r for r in ready if isinstance(r, Rejected)]
        predictions = self._answers(good)
        if len(good) == len(ready):
            return predictions
        following = iter(predictions)
        return [r if isinstance(r, Rejected) else next(following) for r in ready]

    def _derived(self, record: object) -> Record | Rejected:
        """The record with its derived features. If `derive` fails, it would fail again, so the record is refused."""
        checked = self.schema.check(record)
        if isinstance(checked, Rejected):
            return checked
        try:
            return self.derive(checked)
        except Exception as error:  # a fault of the use case costs one record, not a shard or a list
            fault = f"its derived features cannot be computed ({type(error).__name__})"
            return Rejected((FieldError("", None, fault, "a record whose derived features can be computed"),))

    def _answers(self, ready: Sequence[Record]) -> list[Prediction | Rejected]:
        one, row = self._predict_one, self.encoder.row
        predictions: list[Prediction]
        if one is not None and len(ready) <= FEW:
            predictions = [one(row(record)) for record in ready]
        else:
            predictions = self.predict(self.encoder.rows(ready)).tolist()
        if predictions and isinstance(predictions[0], list):
            return [p if all(map(isfinite, p)) else NO_ANSWER for p in predictions]  # type: ignore[arg-type]
        return [p if isfinite(p) else NO_ANSWER for p in predictions]  # type: ignore[arg-type]

    def score_rows(self, rows: Matrix) -> NDArray[np.float64]:
        """Score encoded rows, as the smoke test and the monitor have them."""
        return np.asarray(self.predict(rows), dtype=np.float64)
