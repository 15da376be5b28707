"""Support vector classification, by scikit-learn, exported as plain ONNX operators in double."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from onnx.helper import make_node, make_tensor_value_info
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.svm import SVC

from model_orchestration.estimators.base import Data
from model_orchestration.estimators.pipeline import Prepared, to_graph
from scorehouse.scoring.onnx_model import Output

CACHE = 300  # megabytes of kernel rows that are kept while fitting
LABEL, CHANCES = "label", "chances"
CHANCE_FOLDS = 5  # of the rows from whose decisions the chances are learnt


def fit_svc(settings: dict[str, Any], prepared: Prepared, data: Data) -> SVC:
    """Fit a classifier of whole numbers.

    `rare_class_power` p, 0 to 1, gives a row the weight (rows of its class) ** -p: 0 leaves all rows equal, 1 is
    scikit-learn's "balanced". All other settings are those of SVC.
    """
    settings = {"cache_size": CACHE, "gamma": 1 / prepared.shape[1], **settings}
    power = settings.pop("rare_class_power", 0.0)
    _, class_of_row, counts = np.unique(data.truth, return_inverse=True, return_counts=True)
    rarity = (counts.astype(np.float64) ** -power)[class_of_row]
    weights = data.weights * rarity / rarity.mean()
    return SVC(**settings).fit(prepared, data.truth.astype(np.int64), sample_weight=weights)


def export_svc(preparation: ColumnTransformer, model: SVC, columns: int) -> tuple[bytes, Output]:
    """Return preparation and classifier as ONNX with one output, the class as int64 (n,).

    ONNX Runtime's own SVMClassifier works in float32, and 2 of 30,000 wines near a boundary got another class than
    from libsvm. Here the kernel, the decision of each pair of classes and the votes are plain operators in double. They
    are just as fast and follow libsvm's formulas (Chang and Lin, LIBSVM: a library for support vector machines, 2011,
    sections 2.1 and 7).
    """
    exported = to_graph(preparation, columns)
    inner = exported.graph
    rows = inner.output[0].name
    inner.initializer.extend(numpy_helper.from_array(value, name) for name, value in _constants(model).items())
    inner.node.extend([*_decision_nodes(rows, model.kernel), *_voting_nodes()])
    del inner.output[:]
    inner.output.append(make_tensor_value_info(LABEL, TensorProto.INT64, [None]))
    return exported.SerializeToString(), Output(name=LABEL)


def _constants(model: SVC) -> dict[str, NDArray[Any]]:
    """Return the constants of the graph: the kernel's vectors, weights and bias of each pair, and its votes."""
    pairs = list(combinations(range(len(model.classes_)), 2))
    wins, loses = np.zeros((2, len(pairs), len(model.classes_)))
    for pair, (first, second) in enumerate(pairs):
        wins[pair, first] = loses[pair, second] = 1
    sign = -1.0 if len(pairs) == 1 else 1.0  # with a single pair, scikit-learn reverses libsvm's sign
    shared = {
        "bias": sign * model.intercept_,
        "zero": np.array(0.0),
        "wins": wins - loses,
        "loses": loses.sum(axis=0),
        "classes": model.classes_.astype(np.int64),
    }
    if model.kernel == "linear":
        return {**shared, "weights": sign * model.coef_.T}
    vectors = model.support_vectors_
    return {
        **shared,
        "vectors": -2 * vectors.T,
        "squares": (vectors**2).sum(axis=1),
        "axis": np.array([1], dtype=np.int64),
        "minus_gamma": np.array(-model.gamma),
        "weights": sign * _pair_weights(model, pairs),
    }


def _pair_weights(model: SVC, pairs: list[tuple[int, int]]) -> NDArray[np.float64]:
    """Return each vector's coefficient in each pair's decision, (vectors, pairs), from libsvm's packed form."""
    ends = np.cumsum(model.n_support_)
    of_class = [slice(end - count, end) for end, count in zip(ends, model.n_support_, strict=True)]
    weights = np.zeros((len(model.support_vectors_), len(pairs)))
    for pair, (first, second) in enumerate(pairs):
        weights[of_class[first], pair] = model.dual_coef_[second - 1, of_class[first]]
        weights[of_class[second], pair] = model.dual_coef_[first, of_class[second]]
    return weights


def _decision_nodes(rows: str, kernel: str) -> list[NodeProto]:
    """Return the operators from prepared rows to the decision of each pair of classes."""
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
    ]
    return [make_node(kind, list(into), [out]) for kind, into, out in steps]


def _voting_nodes() -> list[NodeProto]:
    """Return the operators from the decisions to the label: the votes, and the class with most of them."""
    return [
        make_node("Greater", ["decision", "zero"], ["won"]),
        make_node("Cast", ["won"], ["vote"], to=TensorProto.DOUBLE),
        make_node("MatMul", ["vote", "wins"], ["margin"]),
        make_node("Add", ["margin", "loses"], ["votes"]),
        make_node("ArgMax", ["votes"], ["winner"], axis=1, keepdims=0),
        make_node("Gather", ["classes", "winner"], [LABEL]),
    ]


class SvcWithChances:
    """A support vector machine, and a logistic regression from the decisions of its pairs to chances.

    It is Platt's method (1999) for several classes at once: the decisions come from models that were fitted without
    the row.
    """

    def __init__(self, svc: SVC, chances: LogisticRegression):
        """Keep both parts."""
        self.svc = svc
        self.chances = chances
        self.classes_ = svc.classes_

    def predict_proba(self, prepared: Prepared) -> NDArray[np.float64]:
        """Return the chances of the classes that it knows, (n, classes)."""
        return np.asarray(self.chances.predict_proba(_decisions(self.svc, prepared)))


def fit_svc_chances(settings: dict[str, Any], prepared: Prepared, data: Data) -> SvcWithChances:
    """Fit a classifier with chances. The settings are those of `fit_svc`."""
    settings = {**settings, "decision_function_shape": "ovo"}
    svc = fit_svc(settings, prepared, data)
    pairs = list(combinations(svc.classes_, 2))
    truth = data.truth.astype(np.int64)
    decisions = np.zeros((len(truth), len(pairs)))
    for known, held_out in KFold(min(CHANCE_FOLDS, len(truth)), shuffle=True, random_state=0).split(prepared):
        present = np.unique(truth[known])
        if len(present) < 2:
            continue
        part = fit_svc(settings, prepared[known], Data(data.rows[known], data.truth[known], data.weights[known]))
        places = [pairs.index(pair) for pair in combinations(present, 2)]  # a class may be absent from the fold
        decisions[np.ix_(held_out, places)] = _decisions(part, prepared[held_out])
    chances = LogisticRegression(max_iter=1_000).fit(decisions, truth, sample_weight=data.weights)
    return SvcWithChances(svc, chances)


def _decisions(svc: SVC, prepared: Prepared) -> NDArray[np.float64]:
    """Return the decision of each pair of classes, (n, pairs)."""
    decisions = np.asarray(svc.decision_function(prepared), dtype=np.float64)
    return decisions.reshape(len(prepared), -1)


def export_svc_chances(preparation: ColumnTransformer, model: SvcWithChances, columns: int) -> ModelProto:
    """Return preparation and classifier as ONNX with one output, the chances as float32 (n, classes)."""
    exported = to_graph(preparation, columns)
    inner = exported.graph
    rows = inner.output[0].name
    svc, chances = model.svc, model.chances
    weights, bias = chances.coef_, chances.intercept_
    if len(model.classes_) == 2:  # one row of weights, for the second class; scikit-learn reverses the decision
        weights, bias = np.vstack([np.zeros_like(weights), -weights]), np.append(0.0, bias)
    unused = {"zero", "wins", "loses", "classes"}
    constants = {name: value for name, value in _constants(svc).items() if name not in unused}
    constants |= {"chance_weights": weights.T, "chance_bias": bias}
    inner.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    inner.node.extend(_decision_nodes(rows, svc.kernel))
    inner.node.extend(
        [
            make_node("MatMul", ["decision", "chance_weights"], ["weighted"]),
            make_node("Add", ["weighted", "chance_bias"], ["scores"]),
            make_node("Softmax", ["scores"], ["double_chances"], axis=1),
            make_node("Cast", ["double_chances"], [CHANCES], to=TensorProto.FLOAT),
        ]
    )
    del inner.output[:]
    inner.output.append(make_tensor_value_info(CHANCES, TensorProto.FLOAT, [None, len(model.classes_)]))
    return exported
