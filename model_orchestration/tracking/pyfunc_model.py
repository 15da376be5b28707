"""The bundle as an MLflow model that takes raw records. mlflow.pyfunc loads it from this code, without a pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from scorehouse.bundles import bundle
from scorehouse.pages.loading import load_use_case
from scorehouse.scoring.schema import Rejected


class RecordModel(PythonModel):
    """Scores a frame of records in the same way as every door."""

    def load_context(self, context: PythonModelContext) -> None:
        """Verify and load the bundle that was logged with this model."""
        loaded = bundle.load(Path(context.artifacts["bundle"]))
        self._scorer = loaded.scorer(load_use_case(loaded.manifest.use_case))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: Any = None) -> list[float]:  # noqa: ARG002
        """Return one prediction for each row. Raises ValueError with the reasons if a record cannot be scored."""
        records = [_record(row) for row in model_input.astype(object).to_dict("records")]
        answers = self._scorer.score(records)
        faults = [f"record {i}: {a.reason}" for i, a in enumerate(answers) if isinstance(a, Rejected)]
        if faults:
            raise ValueError("; ".join(faults[:20]))
        return [a for a in answers if not isinstance(a, Rejected)]


def _record(row: dict[Any, Any]) -> dict[str, Any]:
    """Return a frame's row as JSON would have it: plain numbers, and None for NaN, NaT and NA."""
    plain = {str(k): v.item() if hasattr(v, "item") else v for k, v in row.items()}
    return {k: None if pd.isna(v) else v for k, v in plain.items()}


mlflow.models.set_model(RecordModel())
