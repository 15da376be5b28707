"""The mean of several boosters is one booster: it answers, explains and is exported like any other."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
import xgboost as xgb
from scipy.special import expit, softmax

from model_orchestration.estimators import Data, refit, settle
from model_orchestration.estimators.boosting import BoostingTrainer
from scorehouse.scoring.onnx_model import OnnxModel
from scorehouse.usecase import Estimator, Task
from server.web.site.trees import Trees

CHOSEN = [
    {"max_depth": 2, "learning_rate": 0.3, "rounds": 7},
    {"max_depth": 5, "learning_rate": 0.1, "rounds": 20},
    {"max_depth": 3, "learning_rate": 0.5, "rounds": 3},
]
CASES: list[tuple[str, Task, int]] = [
    ("binary:logistic", "binary", 0),
    ("reg:squarederror", "amount", 0),
    ("reg:absoluteerror", "amount", 0),
    ("reg:gamma", "amount", 0),
    ("reg:tweedie", "amount", 0),
    ("count:poisson", "amount", 0),
    ("multi:softprob", "multiclass", 4),
]


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 5)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    return values


def test_ordered_classes_are_answered_by_the_nearest_one(rows: np.ndarray) -> None:
    """Also where a number between two classes is none, and beyond the lowest and the highest one."""
    amount = 3 * np.nan_to_num(rows[:, 0]) + np.nan_to_num(rows[:, 1])
    classes = np.array([-4, -1, 0, 1, 5])
    truth = classes[np.abs(amount[:, None] - classes).argmin(axis=1)].astype(np.float64)
    data = Data(rows, truth, np.ones(len(rows)))
    estimator = Estimator(family="xgboost", fixed={"objective": "reg:squarederror"}, space={})
    trainer = BoostingTrainer(estimator, "ordinal", data, data)
    mean = refit(trainer, CHOSEN, data)
    amounts = mean._booster.predict(xgb.DMatrix(rows))
    nearest = classes[np.abs(amounts[:, None].astype(np.float64) - classes).argmin(axis=1)]
    answers = OnnxModel(*mean.onnx())(rows)
    assert answers.dtype == np.int64
    assert (mean.predict(rows) == nearest).all()
    assert (answers == nearest).all()
    assert type(OnnxModel(*mean.onnx()).one(array("f", rows[0]))) is int
    assert (answers == truth).mean() > 0.6


@pytest.mark.parametrize(("objective", "task", "classes"), CASES)
def test_the_mean_of_margins_is_one_booster(tmp_path, rows: np.ndarray, objective: str, task: Task, classes: int):
    signal = np.nan_to_num(rows[:, 0]) + np.nan_to_num(rows[:, 1])
    truth = {"binary": signal > 0.5, "multiclass": np.digitize(signal, [-1, 0, 1]), "amount": np.exp(signal)}[task]
    data = Data(rows, truth.astype(np.float64), np.ones(len(rows)))
    trainer = BoostingTrainer(
        Estimator(family="xgboost", fixed={"objective": objective}, space={}), task, data, data, classes
    )
    alone = [trainer.refit(one, data)._booster for one in CHOSEN]
    matrix = xgb.DMatrix(rows)
    margin = np.mean([booster.predict(matrix, output_margin=True) for booster in alone], axis=0, dtype=np.float64)
    link = {"binary:logistic": expit, "multi:softprob": lambda m: softmax(m, axis=1)}.get(objective, np.exp)
    expected = margin if objective in {"reg:squarederror", "reg:absoluteerror"} else link(margin)

    mean = refit(trainer, CHOSEN, data)

    assert mean.predict(rows) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert OnnxModel(*mean.onnx())(rows) == pytest.approx(mean.predict(rows), rel=1e-4, abs=1e-5)
    name, content = mean.native()
    (tmp_path / name).write_bytes(content)
    contributions = Trees(tmp_path / name).contributions(rows)
    assert contributions.sum(axis=2).reshape(margin.shape) == pytest.approx(margin, rel=1e-4, abs=1e-4)
    assert mean.parameters == {**CHOSEN[0], "averaged": 3}
    assert mean.importance().sum() == pytest.approx(1)


def test_models_of_several_parts_are_judged_after_the_same_rounds(rows: np.ndarray) -> None:
    truth = np.nan_to_num(rows[:, 0]) + np.random.default_rng(1).normal(size=len(rows))
    parts = [np.arange(len(rows)) % 3 == k for k in range(3)]
    estimator = Estimator(family="xgboost", fixed={"objective": "reg:squarederror"}, space={})
    trainers = [
        BoostingTrainer(estimator, "amount", *(Data(rows[side], truth[side], np.ones(side.sum())) for side in (~p, p)))
        for p in parts
    ]
    alone = [trainer.fit({"max_depth": 2, "learning_rate": 0.1}) for trainer in trainers]
    own = [model.parameters["rounds"] for model in alone]
    parameters, settled = settle(alone)
    assert len(set(own)) > 1
    assert parameters["rounds"] == round(np.mean(own))
    assert [m._booster.num_boosted_rounds() for m in settled] == [parameters["rounds"]] * 3
