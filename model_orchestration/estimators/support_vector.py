"""Support vector classification of ordered classes, by scikit-learn, and its decision as plain ONNX in double."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, numpy_helper
from onnx.helper import make_node, make_tensor_value_info
from sklearn.compose import ColumnTransformer
from sklearn.svm import SVC

from model_orchestration.estimators.base import Data
from model_orchestration.estimators.pipeline import Wide, graph
from scorehouse.scoring.onnx_model import Output

CACHE = 300  # megabytes of kernel rows kept while fitting
LABEL = "label"


def fit_svc(settings: dict[str, Any], wide: Wide, data: Data) -> SVC:
    """Fit a classifier of whole numbers.

    `rare_class_power` p, 0 to 1, weighs a row by (its class's rows) ** -p: 0 leaves the rows as they are, 1 is
    scikit-learn's "balanced". All else is SVC's own.
    """
    settings = {"cache_size": CACHE, "gamma": 1 / wide.shape[1], **settings}
    power = settings.pop("rare_class_power", 0.0)
    _, place, counts = np.unique(data.truth, return_inverse=True, return_counts=True)
    rarity = (counts.astype(np.float64) ** -power)[place]
    weights = data.weights * rarity / rarity.mean()
    return SVC(**settings).fit(wide, data.truth.astype(np.int64), sample_weight=weights)


def export_svc(ready: ColumnTransformer, model: SVC, columns: int) -> tuple[bytes, Output]:
    """Return preparation and classifier as ONNX with one output, the class as int64 (n,).

    ONNX Runtime's own SVMClassifier works in float32: 2 of 30,000 wines, near a boundary, got another class than by
    libsvm. Here, as fast, the kernel, the pairs' decisions and their votes are plain operators in double, by libsvm's
    formulas (Chang and Lin, LIBSVM: a library for support vector machines, 2011, sections 2.1 and 7).
    """
    written = graph(ready, columns)
    inner = written.graph
    rows = inner.output[0].name
    inner.initializer.extend(numpy_helper.from_array(value, name) for name, value in _constants(model).items())
    inner.node.extend(_nodes(rows, model.kernel))
    del inner.output[:]
    inner.output.append(make_tensor_value_info(LABEL, TensorProto.INT64, [None]))
    return written.SerializeToString(), Output(name=LABEL)


def _constants(model: SVC) -> dict[str, NDArray[Any]]:
    """What the graph holds: the kernel's vectors, the pairs' weights and bias, and how each pair votes."""
    pairs = list(combinations(range(len(model.classes_)), 2))
    wins, loses = np.zeros((2, len(pairs), len(model.classes_)))
    for place, (first, second) in enumerate(pairs):
        wins[place, first] = loses[place, second] = 1
    side = -1.0 if len(pairs) == 1 else 1.0  # scikit-learn turns libsvm's one pair around
    shared = {
        "bias": side * model.intercept_,
        "zero": np.array(0.0),
        "wins": wins - loses,
        "loses": loses.sum(axis=0),
        "classes": model.classes_.astype(np.int64),
    }
    if model.kernel == "linear":
        return {**shared, "weights": side * model.coef_.T}
    vectors = model.support_vectors_
    return {
        **shared,
        "vectors": -2 * vectors.T,
        "squares": (vectors**2).sum(axis=1),
        "axis": np.array([1], dtype=np.int64),
        "minus_gamma": np.array(-model.gamma),
        "weights": side * _pair_weights(model, pairs),
    }


def _pair_weights(model: SVC, pairs: list[tuple[int, int]]) -> NDArray[np.float64]:
    """Each vector's coefficient in each pair's decision, (vectors, pairs), from libsvm's packed form."""
    ends = np.cumsum(model.n_support_)
    of_class = [slice(end - count, end) for end, count in zip(ends, model.n_support_, strict=True)]
    weights = np.zeros((len(model.support_vectors_), len(pairs)))
    for place, (first, second) in enumerate(pairs):
        weights[of_class[first], place] = model.dual_coef_[second - 1, of_class[first]]
        weights[of_class[second], place] = model.dual_coef_[first, of_class[second]]
    return weights


def _nodes(rows: str, kernel: str) -> list[NodeProto]:
    """Prepared rows -> label: each pair's decision, its vote, and the first class with most votes."""
    steps = [
        ("Mul", (rows, rows), "square"),
        ("ReduceSum", ("square", "axis"), "norm"),
        ("MatMul", (rows, "vectors"), "product"),
        ("Add", ("product", "norm"), "half"),
        ("Add", ("half", "squares"), "distance"),
        ("Mul", ("distance", "minus_gamma"), "exponent"),
        ("Exp", ("exponent",), "kernel"),
    ]
    rbf = kernel == "rbf"
    steps = [
        *(steps if rbf else []),
        ("MatMul", ("kernel" if rbf else rows, "weights"), "product_of_pairs"),
        ("Add", ("product_of_pairs", "bias"), "decision"),
        ("Greater", ("decision", "zero"), "won"),
    ]
    return [make_node(kind, list(into), [out]) for kind, into, out in steps] + [
        make_node("Cast", ["won"], ["vote"], to=TensorProto.DOUBLE),
        make_node("MatMul", ["vote", "wins"], ["margin"]),
        make_node("Add", ["margin", "loses"], ["votes"]),
        make_node("ArgMax", ["votes"], ["winner"], axis=1, keepdims=0),
        make_node("Gather", ["classes", "winner"], [LABEL]),
    ]
