"""Boosted trees by XGBoost, with early stopping, one thread for each model and matrices built once per thread."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import xgboost as xgb
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.helper import get_attribute_value, make_node, make_tensor_value_info
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from scipy.special import expit, logit

from model_orchestration.estimators.base import Data, Parameters
from scorehouse.scoring.encoding import Matrix
from scorehouse.scoring.onnx_model import Output
from scorehouse.usecase import Estimator, Task

# Unless the use case sets others: the most boosting rounds, and the rounds without a better score before it stops.
LIMITS = {"rounds": 800, "patience": 25}
_METRIC = {"binary:logistic": "logloss", "reg:gamma": "gamma-deviance", "multi:softprob": "mlogloss"}
# XGBoost keeps the base of all margins on the scale of the answer: how to get there and back, where it is another one.
_Link = tuple[Callable[[Any], Any], Callable[[Any], Any]]
_LINKS: Mapping[str, _Link] = {
    "binary:logistic": (logit, expit),
    **dict.fromkeys(("reg:gamma", "reg:tweedie", "count:poisson"), (np.log, np.exp)),
}
_IDENTITY: _Link = (np.asarray, np.asarray)
NATIVE = "model.ubj"  # XGBoost's own file format
VARIABLE = "variable"  # what the converter calls the answer
OPSET = 15


class BoostedTrees:
    """A booster and the parameters that it was fitted with.

    Of ordered classes, it predicts an amount, and the answer is the nearest class.
    """

    def __init__(
        self,
        booster: xgb.Booster,
        parameters: dict[str, Any],
        task: Task,
        ordered: NDArray[np.int64],
        whole: xgb.Booster | None = None,
    ):
        """Take a booster that is cut to its best round, and ordered classes, sorted, if the task has them.

        `whole` has the rounds after the best one as well.
        """
        self._booster = booster
        self.parameters = parameters
        self._task = task
        self._ordered = ordered
        self._whole = whole or booster

    def after(self, rounds: int) -> BoostedTrees:
        """Return the model after so many rounds, or after all that were boosted."""
        cut = self._whole[: min(rounds, self._whole.num_boosted_rounds())]
        return BoostedTrees(cut, {**self.parameters, "rounds": rounds}, self._task, self._ordered, self._whole)

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Return chances, amounts or ordered classes, (n,), or the chances of several classes, (n, classes)."""
        answers = self._booster.inplace_predict(rows)
        if self._task == "ordinal":
            answers = self._ordered[np.searchsorted(_boundaries(self._ordered), answers)]
        return np.asarray(answers, dtype=np.float64)

    def onnx(self) -> tuple[bytes, Output]:
        """Return the trees as ONNX. For a binary task the answer is in log odds; several classes have their chances."""
        columns = self._booster.num_features()
        model = convert_xgboost(
            self._booster, initial_types=[("rows", FloatTensorType([None, columns]))], target_opset=OPSET
        )
        binary = self._task == "binary"
        if binary:
            _to_sums(model, 1)
        elif self._task == "multiclass":
            _to_sums(model, _classes(self._booster))
            _add_softmax(model)
        elif self._task == "ordinal":
            _add_nearest(model, self._ordered)
        return model.SerializeToString(), Output(name=VARIABLE, link="logit" if binary else None)

    def native(self) -> tuple[str, bytes]:
        """Return XGBoost's own file."""
        return NATIVE, bytes(self._booster.save_raw("ubj"))

    def document(self) -> Any:
        """Return the booster as XGBoost's JSON."""
        return orjson.loads(bytes(self._booster.save_raw("json")))

    def with_document(self, document: Any, averaged: int) -> BoostedTrees:
        """Return the model in `document`, the mean of so many, of which this one is the first."""
        booster = xgb.Booster({"nthread": 1}, model_file=bytearray(orjson.dumps(document)))
        return BoostedTrees(booster, {**self.parameters, "averaged": averaged}, self._task, self._ordered)

    def importance(self) -> NDArray[np.float64]:
        """Return each column's share of the total gain."""
        gains: Any = self._booster.get_score(importance_type="total_gain")
        values = np.array([gains.get(f"f{i}", 0.0) for i in range(self._booster.num_features())])
        return np.asarray(values / max(values.sum(), 1e-12))


def mean_of(models: Sequence[BoostedTrees]) -> BoostedTrees:
    """Return one model whose margin is the mean of the models' margins: it has all trees, with smaller leaves.

    A mean on the scale of the margin is again a booster, so that it has XGBoost's own file and its contributions.
    """
    documents = [model.document()["learner"] for model in models]
    forests = [one["gradient_booster"]["model"] for one in documents]
    trees = [_shrink(tree, len(models)) for forest in forests for tree in forest["trees"]]
    mean, forest = documents[0], forests[0]
    in_a_round = forest["iteration_indptr"][1]
    forest["tree_info"] = [group for one in forests for group in one["tree_info"]]
    forest["trees"] = [{**tree, "id": number} for number, tree in enumerate(trees)]
    forest["iteration_indptr"] = list(range(0, len(trees) + 1, in_a_round))
    forest["gbtree_model_param"]["num_trees"] = str(len(trees))
    bases = [orjson.loads(one["learner_model_param"]["base_score"]) for one in documents]
    to_margin, from_margin = _LINKS.get(mean["objective"]["name"], _IDENTITY)
    base = from_margin(np.mean(to_margin(np.array(bases)), axis=0))
    mean["learner_model_param"]["base_score"] = orjson.dumps(base.tolist()).decode()
    return models[0].with_document({**models[0].document(), "learner": mean}, len(models))


def _shrink(tree: dict[str, Any], times: int) -> dict[str, Any]:
    """Return the tree with its leaves divided by `times`. The split of a node and the value of a leaf share a list."""
    values = zip(tree["split_conditions"], tree["left_children"], strict=True)
    return {
        **tree,
        "split_conditions": [value / times if child == -1 else value for value, child in values],
        "base_weights": [weight / times for weight in tree["base_weights"]],
    }


def _classes(booster: xgb.Booster) -> int:
    return int(json.loads(booster.save_config())["learner"]["learner_model_param"]["num_class"])


def _to_sums(model: ModelProto, targets: int) -> None:
    """Replace the classifier node by plain sums of leaves: ONNX's classifier takes a third longer per row."""
    (trees,) = model.graph.node
    attributes = {a.name: get_attribute_value(a) for a in trees.attribute}
    leaves = {f"target_{name}": attributes[f"class_{name}"] for name in ("treeids", "nodeids", "ids", "weights")}
    nodes = {name: value for name, value in attributes.items() if name.startswith("nodes_") or name == "base_values"}
    summed = make_node(
        "TreeEnsembleRegressor", ["rows"], [VARIABLE], domain=trees.domain, n_targets=targets, **nodes, **leaves
    )
    trees.CopyFrom(summed)
    del model.graph.output[:]
    model.graph.output.append(make_tensor_value_info(VARIABLE, TensorProto.FLOAT, [None, targets]))


def _add_softmax(model: ModelProto) -> None:
    """Turn the sums of several classes into their chances."""
    (trees,) = model.graph.node
    trees.output[0] = "sums"
    model.graph.node.append(make_node("Softmax", ["sums"], [VARIABLE], axis=1))


def _boundaries(ordered: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the amounts half-way between neighbouring classes, (classes - 1,)."""
    return ((ordered[1:] + ordered[:-1]) / 2).astype(np.float32)


def _add_nearest(model: ModelProto, ordered: NDArray[np.int64]) -> None:
    """Turn an amount into the nearest of ordered classes, int64 (n,): the one after all boundaries that it exceeds."""
    (trees,) = model.graph.node
    trees.output[0] = "amount"
    constants: dict[str, NDArray[Any]] = {
        "boundaries": _boundaries(ordered)[None, :],
        "classes": ordered,
        "last": np.array([1], dtype=np.int64),
    }
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    model.graph.node.extend(
        [
            make_node("Greater", ["amount", "boundaries"], ["exceeds"]),
            make_node("Cast", ["exceeds"], ["one"], to=TensorProto.INT64),
            make_node("ReduceSum", ["one", "last"], ["place"], keepdims=0),
            make_node("Gather", ["classes", "place"], [VARIABLE]),
        ]
    )
    del model.graph.output[:]
    model.graph.output.append(make_tensor_value_info(VARIABLE, TensorProto.INT64, [None]))


class BoostingTrainer:
    """Fits boosted trees on the same rows."""

    def __init__(self, estimator: Estimator, task: Task, train: Data, valid: Data, classes: int = 0):
        """Build nothing yet: each thread builds its own matrices once."""
        fixed = {"tree_method": "hist", "max_bin": 256, "nthread": 1, "seed": 0, **LIMITS, **estimator.fixed}
        if classes:
            fixed["num_class"] = classes
        self._rounds = int(fixed.pop("rounds"))
        self._patience = int(fixed.pop("patience"))
        self._fixed = fixed
        self._task = task
        self._train = train
        self._valid = valid
        self._local = threading.local()

    def fit(self, parameters: Parameters) -> BoostedTrees:
        """Boost until the validation score has stopped improving, and keep the rounds up to the best one."""
        train, valid = self._matrices()
        settings = {**self._fixed, **parameters}
        settings["eval_metric"] = _METRIC.get(settings["objective"], "rmse")
        limits: dict[str, Any] = {"num_boost_round": self._rounds, "early_stopping_rounds": self._patience}
        booster = xgb.train(settings, train, evals=[(valid, "valid")], verbose_eval=False, **limits)
        rounds = booster.best_iteration + 1
        return self._model(booster[:rounds], {**parameters, "rounds": rounds}, self._train, booster)

    def refit(self, parameters: Parameters, data: Data) -> BoostedTrees:
        """Boost as many rounds as `parameters` says."""
        settings = {**self._fixed, **{k: v for k, v in parameters.items() if k != "rounds"}}
        matrix = self._matrix(data)
        return self._model(xgb.train(settings, matrix, int(parameters["rounds"])), dict(parameters), data)

    def _model(
        self, booster: xgb.Booster, parameters: dict[str, Any], data: Data, whole: xgb.Booster | None = None
    ) -> BoostedTrees:
        return BoostedTrees(booster, parameters, self._task, np.unique(data.truth).astype(np.int64), whole)

    def _matrix(self, data: Data, like: xgb.DMatrix | None = None) -> xgb.DMatrix:
        bins = self._fixed["max_bin"]
        return xgb.QuantileDMatrix(data.rows, data.truth, weight=data.weights, nthread=1, max_bin=bins, ref=like)

    def _matrices(self) -> tuple[xgb.DMatrix, xgb.DMatrix]:
        if not hasattr(self._local, "matrices"):
            train = self._matrix(self._train)
            self._local.matrices = train, self._matrix(self._valid, train)
        matrices: tuple[xgb.DMatrix, xgb.DMatrix] = self._local.matrices
        return matrices
