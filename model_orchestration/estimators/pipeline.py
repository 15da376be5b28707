"""What scikit-learn's families share: rows prepared inside the model, imputed, scaled and one-hot encoded, and ONNX."""

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
Wide = NDArray[np.float64]  # prepared rows: the numbers, then each category's indicators
FitModel = Callable[[dict[str, Any], Wide, Data], Any]  # settings, prepared rows, data -> a fitted model
Export = Callable[[ColumnTransformer, Any, int], tuple[bytes, Output]]  # preparation, model, columns -> ONNX


def preparation(columns: Sequence[Column], rows: Matrix) -> ColumnTransformer:
    """Return what turns encoded rows (n, columns) into `Wide`, fitted on `rows`.

    Missing numbers become the median; missing categories, and unseen ones (encoded alike), no indicator at all.
    All but the imputing is in double, on both sides: in float32 the model and its ONNX form round apart, and a class
    changes with the last bit.
    """
    numbers, categories = _kinds(columns)
    ready = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), *_scale()), numbers),
            ("categories", make_pipeline(*_indicators([len(columns[i].codes or ()) for i in categories])), categories),
        ][: 2 if categories else 1]
    ).fit(rows)
    known = rows[:, numbers].astype(np.float64)
    known[:, np.isnan(known).all(axis=0)] = 0
    ready.named_transformers_["numbers"][-1].fit(known)  # again: imputed copies would make every scale too small
    return ready


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


def _kinds(columns: Sequence[Column]) -> tuple[list[int], list[int]]:
    """Places of the numbers and of the categories."""
    numbers = [i for i, c in enumerate(columns) if c.codes is None]
    return numbers, [i for i, c in enumerate(columns) if c.codes is not None]


class PipelineModel:
    """A preparation and a model fitted behind it."""

    def __init__(
        self,
        ready: ColumnTransformer,
        model: Any,
        parameters: dict[str, Any],
        columns: Sequence[Column],
        export: Export,
    ):
        """Keep the parts."""
        self._ready, self._model, self.parameters = ready, model, parameters
        self._columns, self._export = columns, export

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Return amounts or classes, (n,), as scikit-learn gives them."""
        return np.asarray(self._model.predict(self._ready.transform(rows)), dtype=np.float64)

    def onnx(self) -> tuple[bytes, Output]:
        """Return preparation and model as one graph."""
        return self._export(self._ready, self._model, len(self._columns))

    def native(self) -> None:
        """Return nothing: scikit-learn's own form is a pickle, which can run anything when it is loaded."""

    def importance(self) -> NDArray[np.float64] | None:
        """Return each column's share, a category's indicators taken together; None where the model tells none."""
        shares = getattr(self._model, "feature_importances_", None)
        if shares is None:
            return None
        numbers, categories = _kinds(self._columns)
        column = [*numbers, *(i for i in categories for _ in self._columns[i].codes or ())]
        return np.bincount(column, shares, minlength=len(self._columns)).astype(np.float64)


class PipelineTrainer:
    """Fits models of one scikit-learn family on the same rows, prepared once."""

    def __init__(
        self, estimator: Estimator, columns: Sequence[Column], train: Data, fit: FitModel, export: Export | None = None
    ):
        """Prepare the training rows; validation rows are not watched, none of these families stops early."""
        self._fixed, self._columns, self._train = dict(estimator.fixed), columns, train
        self._fit_model, self._export = fit, export or by_skl2onnx
        self._ready = preparation(columns, train.rows)
        self._wide: Wide = self._ready.transform(train.rows)

    def fit(self, parameters: Parameters) -> PipelineModel:
        """Fit on the training rows."""
        return self._fitted(self._ready, self._wide, parameters, self._train)

    def refit(self, parameters: Parameters, data: Data) -> PipelineModel:
        """Fit on other rows; what is imputed and how it is scaled follows from them alone."""
        ready = preparation(self._columns, data.rows)
        return self._fitted(ready, ready.transform(data.rows), parameters, data)

    def _fitted(self, ready: ColumnTransformer, wide: Wide, parameters: Parameters, data: Data) -> PipelineModel:
        model = self._fit_model({**self._fixed, **parameters}, wide, data)
        return PipelineModel(ready, model, dict(parameters), self._columns, self._export)


def graph(part: ColumnTransformer | Pipeline, columns: int) -> ModelProto:
    """Return a fitted part as ONNX over one input `rows`, float32 (n, columns)."""
    model: ModelProto = to_onnx(part, initial_types=[("rows", FloatTensorType([None, columns]))], target_opset=OPSET)
    return model


def by_skl2onnx(ready: ColumnTransformer | Pipeline, model: Any, columns: int) -> tuple[bytes, Output]:
    """Return preparation and regression as ONNX, and the name of its one output."""
    written = graph(Pipeline([("ready", ready), ("model", model)]), columns)
    return written.SerializeToString(), Output(name=written.graph.output[0].name)
