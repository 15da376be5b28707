"""Every family answers the same by itself and through ONNX, whatever is missing, whatever the batch."""

from __future__ import annotations

from array import array
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from sklearn.svm import SVC

from model_orchestration.estimators import Data, Fitted, make_trainer
from model_orchestration.estimators.support_vector import fit_svc
from scorehouse.pages.families import FAMILIES as RULES
from scorehouse.scoring.encoding import Column, Matrix
from scorehouse.scoring.onnx_model import BLOCK, OnnxModel
from scorehouse.usecase import Estimator, Task

COLUMNS = (
    Column("size"),
    Column("colour", {"red": 0.0, "green": 1.0, "blue": 2.0}),
    Column("age"),
    Column("never measured"),
    Column("city", {"A": 0.0, "B": 1.0}),
)
EMPTY = 3
FAMILIES: dict[str, tuple[Any, Task, dict[str, Any]]] = {
    "random forest": ("random_forest", "amount", {"n_estimators": 20, "max_features": 0.5}),
    "ridge": ("ridge", "amount", {"alpha": 1.0}),
    "lasso": ("lasso", "amount", {"alpha": 0.1}),
    "rbf": ("svc", "ordinal", {"kernel": "rbf", "C": 10.0, "gamma": 0.3, "rare_class_power": 0.5}),
    "rbf with its own gamma": ("svc", "ordinal", {"C": 1.0}),
    "linear": ("svc", "ordinal", {"kernel": "linear", "C": 1.0}),
}


def rows(count: int, seed: int = 0, missing: float = 0.15) -> Matrix:
    """Rows (count, 5) with gaps in every column, the fourth empty but where `missing` is 0."""
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(count, len(COLUMNS))).astype(np.float32)
    made[:, 1], made[:, 4] = rng.integers(0, 3, count), rng.integers(0, 2, count)
    made[rng.random(made.shape) < missing] = np.nan
    if missing:
        made[:, EMPTY] = np.nan
    return made


def data(task: Task, count: int = 400) -> Data:
    """Rows with an amount of about 10,000, or a class from 3 to 6, that follows from them."""
    made = rows(count)
    x = np.nan_to_num(made.astype(np.float64))
    signal = x[:, 0] + 0.7 * x[:, 1] - 0.5 * x[:, 2] * (x[:, 4] == 1)
    truth = 10_000 + 1000 * signal if task == "amount" else np.clip(np.round(4.3 + signal / 2), 3, 6)
    return Data(made, truth, np.ones(count))


def fitted(name: str) -> Fitted:
    """A model of the named family."""
    family, task, fixed = FAMILIES[name]
    known = data(task)
    return make_trainer(Estimator(family=family, space={}, fixed=fixed), task, COLUMNS, known, known).fit({})


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_and_its_onnx_form_agree_on_rows_never_seen(name: str) -> None:
    model = fitted(name)
    predict = OnnxModel(*model.onnx())
    for missing in (0.0, 0.3, 1.0):
        unseen = rows(2000, seed=1, missing=missing)
        own, answers = model.predict(unseen), predict(unseen)
        assert own.shape == answers.shape == (2000,)
        np.testing.assert_allclose(answers, own, rtol=0 if FAMILIES[name][0] == "svc" else 2e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_an_answer_does_not_depend_on_the_batch_it_came_in(name: str) -> None:
    predict = OnnxModel(*fitted(name).onnx())
    many = rows(BLOCK + 300, seed=2)
    together = predict(many)
    assert np.array_equal(together[-400:], np.concatenate([predict(many[i : i + 1]) for i in range(924, 1324)]))
    assert np.array_equal(together[:333], np.concatenate([predict(many[i : i + 37]) for i in range(0, 333, 37)]))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_learns_what_the_rows_say(name: str) -> None:
    known = data(FAMILIES[name][1])
    error = np.mean((fitted(name).predict(known.rows) - known.truth) ** 2)
    assert error < 0.6 * known.truth.var()


@pytest.mark.parametrize("name", FAMILIES)
def test_refitting_on_the_same_rows_gives_the_same_model_also_in_another_thread(name: str) -> None:
    family, task, fixed = FAMILIES[name]
    known = data(task)
    made = make_trainer(Estimator(family=family, space={}, fixed=fixed), task, COLUMNS, known, known)
    with ThreadPoolExecutor(2) as pool:
        models = [*pool.map(made.fit, [{}, {}]), made.refit({}, known)]
    first, second, again = (m.predict(known.rows) for m in models)
    assert np.array_equal(first, second)
    assert np.array_equal(first, again)


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_without_weight_have_no_say(name: str) -> None:
    family, task, fixed = FAMILIES[name]
    known = data(task)
    nonsense = Data(
        np.vstack([known.rows, known.rows]),
        np.concatenate([known.truth, known.truth[::-1]]),
        np.concatenate([known.weights, 1e-9 * known.weights]),
    )
    made = make_trainer(Estimator(family=family, space={}, fixed=fixed), task, COLUMNS, known, known)
    error = np.mean((made.refit({}, nonsense).predict(known.rows) - known.truth) ** 2)
    assert error < 0.7 * known.truth.var()


@pytest.mark.parametrize("name", FAMILIES)
def test_no_family_of_scikit_learn_leaves_a_pickle(name: str) -> None:
    assert fitted(name).native() is None


def test_classes_leave_the_graph_as_whole_numbers() -> None:
    model = fitted("rbf")
    answers = OnnxModel(*model.onnx())(rows(50))
    assert answers.dtype == np.int64
    assert set(answers.tolist()) <= {3, 4, 5, 6}


def test_a_forest_gives_each_columns_share_with_a_categorys_indicators_together() -> None:
    shares = fitted("random forest").importance()
    assert shares is not None
    assert shares.shape == (len(COLUMNS),)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] == shares.max()
    assert shares[EMPTY] == 0
    assert fitted("ridge").importance() is None


def test_a_support_vector_machine_of_two_classes_votes_as_scikit_learn_does() -> None:
    known = data("ordinal")
    two = Data(known.rows, (known.truth > 4).astype(float), known.weights)
    for kernel in ("rbf", "linear"):
        estimator = Estimator(family="svc", space={"C": ()}, fixed={"kernel": kernel})  # type: ignore[dict-item]
        model = make_trainer(estimator, "ordinal", COLUMNS, two, two).fit({"C": 1.0})
        unseen = rows(1000, seed=3)
        answers = OnnxModel(*model.onnx())(unseen)
        assert set(answers.tolist()) == {0, 1}
        assert np.array_equal(answers, model.predict(unseen))


def test_rare_classes_weigh_as_their_power_says() -> None:
    rng = np.random.default_rng(0)
    wide, truth = rng.normal(size=(300, 2)), rng.choice([5.0, 6.0, 7.0], 300, p=[0.7, 0.25, 0.05])
    known = Data(wide.astype(np.float32), truth, np.ones(300))
    settings = {"C": 1.0, "gamma": 0.5}
    for power, class_weight in ((0.0, None), (1.0, "balanced")):
        ours = fit_svc({**settings, "rare_class_power": power}, wide, known)
        theirs = SVC(**settings, class_weight=class_weight).fit(wide, truth)
        assert np.array_equal(ours.predict(wide), theirs.predict(wide))
    half = fit_svc({**settings, "rare_class_power": 0.5}, wide, known).predict(wide)
    assert 0 < np.sum(half != 5) < np.sum(theirs.predict(wide) != 5)


XGBOOST = RULES["xgboost"]
OBJECTIVES = [(task, objective) for task, known in XGBOOST.objectives.items() for objective in known]
VALUES: dict[str, Any] = {  # of parameters that have no number from 0 to 1
    "max_depth": 3, "max_leaves": 8, "num_parallel_tree": 2, "max_bin": 64, "rounds": 5, "patience": 3, "seed": 1,
    "nthread": 1, "verbosity": 1, "tree_method": "hist", "grow_policy": "lossguide", "sampling_method": "uniform",
    "monotone_constraints": "(1,0,0,0,0)", "interaction_constraints": "[[0,1],[2,3]]", "tweedie_variance_power": 1.3,
    "base_score": 0.4, "colsample_bytree": 0.7, "colsample_bylevel": 0.7, "colsample_bynode": 0.7, "subsample": 0.7,
}  # fmt: skip
OF_OBJECTIVE = {
    "tweedie_variance_power": "reg:tweedie", "huber_slope": "reg:pseudohubererror",
    "quantile_alpha": "reg:quantileerror",
}  # fmt: skip


def boosted(task: Task, capsys: pytest.CaptureFixture[str], **fixed: Any) -> None:
    """Fit trees with `fixed` and require that XGBoost uses every parameter and that ONNX answers alike."""
    known = data("amount")
    truth = known.truth / 1000 if task == "amount" else (known.truth > known.truth.mean()).astype(np.float64)
    known = Data(known.rows, truth, known.weights)
    estimator = Estimator(family="xgboost", space={}, fixed={"rounds": 20, **fixed})
    classes = 2 if task == "multiclass" else 0
    model = make_trainer(estimator, task, COLUMNS, known, known, classes).fit({})
    expected = model.predict(known.rows)
    assert np.allclose(np.asarray(OnnxModel(*model.onnx())(known.rows)), expected, rtol=1e-4, atol=1e-5)
    assert "are not used" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(("task", "objective"), OBJECTIVES)
def test_every_objective_that_a_page_may_name_is_answered_by_onnx(
    task: Task, objective: str, capsys: pytest.CaptureFixture[str]
) -> None:
    boosted(task, capsys, objective=objective, **({"quantile_alpha": 0.5} if "quantile" in objective else {}))


@pytest.mark.parametrize("name", sorted(XGBOOST.parameters | (XGBOOST.only_fixed - {"objective"})))
def test_xgboost_knows_every_parameter_that_a_page_may_set(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    objective = OF_OBJECTIVE.get(name, "binary:logistic")
    task: Task = "binary" if objective == "binary:logistic" else "amount"
    boosted(task, capsys, objective=objective, **{name: VALUES.get(name, 0.5)})


CLASSIFIERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "boosted trees": ("xgboost", {"rounds": 30}),
    "random forest": ("random_forest", {"n_estimators": 20}),
    "logistic": ("logistic", {"C": 1.0}),
    "rbf": ("svc", {"kernel": "rbf", "C": 1.0}),
    "linear": ("svc", {"kernel": "linear"}),
}


def classified(name: str, classes: int, known: int) -> Fitted:
    """A classifier of `classes` classes, fitted on rows of the first `known` of them."""
    family, fixed = CLASSIFIERS[name]
    task: Task = "binary" if classes == 2 else "multiclass"
    if family == "xgboost":
        fixed = {**fixed, "objective": "binary:logistic" if classes == 2 else "multi:softprob"}
    amounts = data("amount")
    truth = np.digitize(amounts.truth, np.quantile(amounts.truth, np.arange(1, known) / known)).astype(float)
    given = Data(amounts.rows, truth, np.linspace(0.5, 1.5, len(truth)))
    trainer = make_trainer(
        Estimator(family=family, space={}, fixed=fixed), task, COLUMNS, given, given, classes if classes > 2 else 0
    )
    return trainer.fit({})


@pytest.mark.parametrize("known", [2, 3, 4])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_chances_of_several_classes_agree_with_their_onnx_form_also_of_a_class_without_rows(
    name: str, known: int
) -> None:
    model = classified(name, 4, known)
    predict = OnnxModel(*model.onnx())
    for missing in (0.0, 0.3, 1.0):
        unseen = rows(1500, seed=1, missing=missing)
        own, chances = model.predict(unseen), predict(unseen)
        assert own.shape == chances.shape == (1500, 4)
        np.testing.assert_allclose(chances, own, atol=2e-6)
        np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-6)
        if name != "boosted trees":
            assert (chances[:, known:] == 0).all()
    row = array("f", unseen[0])
    assert predict.one(row) == predict(unseen[:1])[0].tolist()


@pytest.mark.parametrize("name", ["random forest", "logistic"])
def test_of_two_classes_the_chance_of_the_second_is_answered(name: str) -> None:
    model = classified(name, 2, 2)
    predict = OnnxModel(*model.onnx())
    unseen = rows(1500, seed=1)
    own, chances = model.predict(unseen), predict(unseen)
    assert own.shape == chances.shape == (1500,)
    np.testing.assert_allclose(chances, own, atol=2e-6)
    assert predict.one(array("f", unseen[0])) == pytest.approx(own[0], abs=2e-6)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classes_are_learnt(name: str) -> None:
    model = classified(name, 3, 3)
    amounts = data("amount")
    truth = np.digitize(amounts.truth, np.quantile(amounts.truth, [1 / 3, 2 / 3]))
    assert (model.predict(amounts.rows).argmax(axis=1) == truth).mean() > 0.7
