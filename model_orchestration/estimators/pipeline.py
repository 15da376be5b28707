"""What the families of scikit-learn share: preparation of rows (impute, scale, one-hot encode) and export to ONNX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.sklapi import CastTransformer
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from model_orchestration.estimators.base import Data, Parameters
from scorehouse.scoring.encoding import Column, Matrix
from scorehouse.scoring.onnx_model import Output
from scorehouse.usecase import Estimator

OPSET = {"": 15, "ai.onnx.ml": 3}
Prepared = NDArray[np.float64]  # prepared rows: the numbers, then the indicators of each category
FitModel = Callable[[dict[str, Any], Prepared, Data], Any]  # settings, prepared rows, data -> a fitted model
Export = Callable[[ColumnTransformer, Any, int], tuple[bytes, Output]]  # preparation, model, columns -> ONNX


def fit_preparation(columns: Sequence[Column], rows: Matrix) -> ColumnTransformer:
    """Return the transformer of encoded rows (n, columns) into `Prepared`, fitted on `rows`.

    A missing number becomes the median. A missing category, or an unseen one (both are encoded alike), gets no
    indicator. Everything except imputing is in double precision, here and in ONNX: in float32 the model and its ONNX
    form round differently, and the last bit can change a class.
    """
    numbers, categories = _positions(columns)
    preparation = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), *_scale()), numbers),
            ("categories", make_pipeline(*_indicators([len(columns[i].codes or ()) for i in categories])), categories),
        ][: 2 if categories else 1]
    ).fit(rows)
    known = rows[:, numbers].astype(np.float64)
    known[:, np.isnan(known).all(axis=0)] = 0
    # Fit the scale again without the imputed medians, which would make every scale too small.
    preparation.named_transformers_["numbers"][-1].fit(known)
    return preparation


def _scale() -> tuple[Any, Any]:
    return CastTransformer(dtype=np.float64), StandardScaler()


def _indicators(sizes: list[int]) -> tuple[Any, ...]:
    codes = [np.arange(size, dtype=np.float64) for size in sizes]
    one_hot = OneHotEncoder(categories=codes, handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    return (
        SimpleImputer(strategy="constant", fill_value=-1, keep_empty_features=True),
        one_hot,
        CastTransformer(dtype=np.float64),
    )


def _positions(columns: Sequence[Column]) -> tuple[list[int], list[int]]:
    """Return the positions of the numbers and of the categories."""
    numbers = [i for i, c in enumerate(columns) if not c.is_category]
    return numbers, [i for i, c in enumerate(columns) if c.is_category]


class PipelineModel:
    """A preparation and a model that was fitted on prepared rows."""

    def __init__(
        self,
        preparation: ColumnTransformer,
        model: Any,
        parameters: dict[str, Any],
        columns: Sequence[Column],
        export: Export,
    ):
        """Keep the parts. `export` writes preparation and model as ONNX."""
        self._preparation = preparation
        self._model = model
        self.parameters = parameters
        self._columns = columns
        self._export = export

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Return amounts or classes, (n,)."""
        return np.asarray(self._model.predict(self._preparation.transform(rows)), dtype=np.float64)

    def onnx(self) -> tuple[bytes, Output]:
        """Return preparation and model as one graph."""
        return self._export(self._preparation, self._model, len(self._columns))

    def native(self) -> None:
        """Return None: scikit-learn's own file is a pickle, which can run any code when it is loaded."""

    def importance(self) -> NDArray[np.float64] | None:
        """Return the share of each column (of all indicators of a category together), or None if there is none."""
        shares = getattr(self._model, "feature_importances_", None)
        if shares is None:
            return None
        numbers, categories = _positions(self._columns)
        column = [*numbers, *(i for i in categories for _ in self._columns[i].codes or ())]
        return np.bincount(column, shares, minlength=len(self._columns)).astype(np.float64)


class PipelineTrainer:
    """Fits models of one scikit-learn family on the same rows, which are prepared once."""

    def __init__(
        self, estimator: Estimator, columns: Sequence[Column], train: Data, fit: FitModel, export: Export | None = None
    ):
        """Prepare the training rows. Validation rows are not needed, because none of these families stops early."""
        self._fixed = dict(estimator.fixed)
        self._columns = columns
        self._train = train
        self._fit_model = fit
        self._export = export or export_pipeline
        self._preparation = fit_preparation(columns, train.rows)
        self._prepared: Prepared = self._preparation.transform(train.rows)

    def fit(self, parameters: Parameters) -> PipelineModel:
        """Fit on the training rows."""
        return self._fit(self._preparation, self._prepared, parameters, self._train)

    def refit(self, parameters: Parameters, data: Data) -> PipelineModel:
        """Fit on other rows. Imputing and scaling follow from those rows alone."""
        preparation = fit_preparation(self._columns, data.rows)
        return self._fit(preparation, preparation.transform(data.rows), parameters, data)

    def _fit(
        self, preparation: ColumnTransformer, prepared: Prepared, parameters: Parameters, data: Data
    ) -> PipelineModel:
        model = self._fit_model({**self._fixed, **parameters}, prepared, data)
        return PipelineModel(preparation, model, dict(parameters), self._columns, self._export)


def to_graph(part: ColumnTransformer | Pipeline, columns: int) -> ModelProto:
    """Return a fitted part as an ONNX model with one input `rows`, float32 (n, columns)."""
    model: ModelProto = to_onnx(part, initial_types=[("rows", FloatTensorType([None, columns]))], target_opset=OPSET)
    return model


def export_pipeline(preparation: ColumnTransformer | Pipeline, model: Any, columns: int) -> tuple[bytes, Output]:
    """Return preparation and regression as ONNX, with the name of its one output."""
    exported = to_graph(Pipeline([("preparation", preparation), ("model", model)]), columns)
    return exported.SerializeToString(), Output(name=exported.graph.output[0].name)
