"""What the classifiers of scikit-learn share: chances for all classes, also for those that no training row has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.helper import make_node, make_tensor_value_info
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline, make_pipeline

from model_orchestration.estimators.base import Data, Parameters
from model_orchestration.estimators.forest import narrowing
from model_orchestration.estimators.pipeline import OPSET, FitModel, PipelineModel, PipelineTrainer, Prepared
from scorehouse.scoring.encoding import Column, Matrix
from scorehouse.scoring.onnx_model import Output
from scorehouse.usecase import Estimator

PROBABILITIES, CHANCES, ALL_CHANCES = "probabilities", "chances", "all_chances"
ToGraph = Callable[[ColumnTransformer, Any, int], ModelProto]  # preparation, model, columns -> ONNX of its chances


class ClassifierModel(PipelineModel):
    """A preparation and a classifier. Of two classes, the answer is the chance of class 1."""

    def __init__(self, classes: int, *arguments: Any):
        """Answer for `classes` classes."""
        super().__init__(*arguments)
        self._classes = classes

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Return the chances of class 1, (n,), or of several classes, (n, classes)."""
        found = self._model.predict_proba(self._preparation.transform(rows))
        chances = np.zeros((len(rows), self._classes))
        chances[:, self._model.classes_] = found
        return chances[:, 1] if self._classes == 2 else chances


class ClassifierTrainer(PipelineTrainer):
    """Fits classifiers of one family on the same rows, which are prepared once."""

    def __init__(
        self,
        estimator: Estimator,
        columns: Sequence[Column],
        train: Data,
        classes: int,
        fit: FitModel,
        export: ToGraph | None = None,
        *,
        narrow: bool = False,
    ):
        """Prepare the training rows. `narrow` says that the model takes float32, as trees do."""
        to_graph = export or partial(_to_graph, narrow=narrow)
        super().__init__(estimator, columns, train, fit, partial(_export, classes, to_graph))
        self._classes = classes

    def _fit(
        self, preparation: ColumnTransformer, prepared: Prepared, parameters: Parameters, data: Data
    ) -> PipelineModel:
        model = self._fit_model({**self._fixed, **parameters}, prepared, data)
        return ClassifierModel(self._classes, preparation, model, dict(parameters), self._columns, self._export)


def _to_graph(preparation: ColumnTransformer, model: Any, columns: int, *, narrow: bool) -> ModelProto:
    """Return preparation and classifier as ONNX with one output, the chances of the classes that the model knows."""
    steps = make_pipeline(preparation, narrowing(model)) if narrow else preparation
    graph: ModelProto = to_onnx(
        Pipeline([("preparation", steps), ("model", model)]),
        initial_types=[("rows", FloatTensorType([None, columns]))],
        target_opset=OPSET,
        options={id(model): {"zipmap": False}},
    )
    graph.graph.node.append(make_node("Cast", [PROBABILITIES], [CHANCES], to=TensorProto.FLOAT))  # some are double
    del graph.graph.output[:]
    graph.graph.output.append(make_tensor_value_info(CHANCES, TensorProto.FLOAT, [None, len(model.classes_)]))
    return graph


def _export(
    classes: int, to_graph: ToGraph, preparation: ColumnTransformer, model: Any, columns: int
) -> tuple[bytes, Output]:
    """Return a classifier as ONNX. Classes that it does not know get the chance 0."""
    exported = to_graph(preparation, model, columns)
    column = 1 if classes == 2 else None
    if len(model.classes_) == classes:
        return exported.SerializeToString(), Output(name=exported.graph.output[0].name, column=column)
    inner = exported.graph
    places = np.zeros((len(model.classes_), classes), dtype=np.float32)
    places[np.arange(len(model.classes_)), model.classes_] = 1
    inner.initializer.append(numpy_helper.from_array(places, "places"))
    inner.node.append(make_node("MatMul", [inner.output[0].name, "places"], [ALL_CHANCES]))
    del inner.output[:]
    inner.output.append(make_tensor_value_info(ALL_CHANCES, TensorProto.FLOAT, [None, classes]))
    return exported.SerializeToString(), Output(name=ALL_CHANCES, column=column)
