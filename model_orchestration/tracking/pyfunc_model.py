"""The bundle as an MLflow model that takes raw records. mlflow.pyfunc loads it from this code, without a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from scorehouse.bundles import bundle
from scorehouse.pages.loading import load_use_case
from scorehouse.scoring.classes import to_answer
from scorehouse.scoring.schema import Rejected
from scorehouse.tables.cells import to_value
from scorehouse.usecase import Feature


class RecordModel(PythonModel):
    """Scores a frame of records in the same way as every door."""

    def load_context(self, context: PythonModelContext) -> None:
        """Verify and load the bundle that was logged with this model."""
        loaded = bundle.load(Path(context.artifacts["bundle"]))
        self._manifest = loaded.manifest
        self._scorer = loaded.scorer(load_use_case(loaded.manifest.use_case))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: Any = None) -> list[Any]:  # noqa: ARG002
        """Return one prediction for each row: a number, or of several classes what /predict answers.

        Raises ValueError with the reasons if a record cannot be scored.
        """
        features = self._scorer.schema.features
        records = [_record(row, features) for row in model_input.astype(object).to_dict("records")]
        answers = self._scorer.score(records)
        faults = [f"record {i}: {a.reason}" for i, a in enumerate(answers) if isinstance(a, Rejected)]
        if faults:
            raise ValueError("; ".join(faults[:20]))
        predictions = [a for a in answers if not isinstance(a, Rejected)]
        if not self._manifest.classes:
            return predictions
        return [to_answer(self._manifest.answer, p, self._manifest.classes) for p in predictions]


def _record(row: dict[Any, Any], features: Mapping[str, Feature]) -> dict[str, Any]:
    """Return a frame's row as JSON would have it: plain numbers, days and times as text, None for NaN, NaT and NA."""
    plain = {str(k): v.item() if hasattr(v, "item") else v for k, v in row.items()}
    record = {k: None if pd.isna(v) else v for k, v in plain.items()}
    times = {k: to_value(v, features[k]) for k, v in record.items() if isinstance(v, date) and k in features}
    return record | times


mlflow.models.set_model(RecordModel())
