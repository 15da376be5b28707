"""The families of models that a use case can choose from. Each can fit, predict and export itself as ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any, assert_never

from model_orchestration.estimators.base import Data, Fitted, Parameters, Trainer
from scorehouse.scoring.encoding import Column
from scorehouse.usecase import Estimator, Task

__all__ = ["Data", "Fitted", "Trainer", "make_trainer", "refit", "settle"]


def make_trainer(
    estimator: Estimator, task: Task, columns: Sequence[Column], train: Data, valid: Data, classes: int = 0
) -> Trainer:
    """Return a trainer of `estimator` for rows with `columns`. It fits on `train` and may stop early by `valid`.

    `classes` is the number of several classes.
    """
    if estimator.family == "xgboost":
        from model_orchestration.estimators.boosting import BoostingTrainer

        return BoostingTrainer(estimator, task, train, valid, classes)
    # The families of scikit-learn and their converter take seconds to import, and most use cases need none of them.
    from model_orchestration.estimators.classifiers import ClassifierTrainer
    from model_orchestration.estimators.forest import export_forest, fit_classifying_forest, fit_forest
    from model_orchestration.estimators.linear import fit_lasso, fit_logistic, fit_ridge
    from model_orchestration.estimators.pipeline import PipelineTrainer
    from model_orchestration.estimators.support_vector import export_svc, export_svc_chances, fit_svc, fit_svc_chances

    count = classes or 2
    match estimator.family:
        case "random_forest" if task != "amount":
            return ClassifierTrainer(estimator, columns, train, count, fit_classifying_forest, narrow=True)
        case "random_forest":
            return PipelineTrainer(estimator, columns, train, fit_forest, export_forest)
        case "logistic":
            return ClassifierTrainer(estimator, columns, train, count, fit_logistic)
        case "svc" if task == "multiclass":
            return ClassifierTrainer(estimator, columns, train, count, fit_svc_chances, export=export_svc_chances)
        case "ridge":
            return PipelineTrainer(estimator, columns, train, fit_ridge)
        case "lasso":
            return PipelineTrainer(estimator, columns, train, fit_lasso)
        case "svc":
            return PipelineTrainer(estimator, columns, train, fit_svc, export_svc)
        case _:
            assert_never(estimator.family)


def settle(models: Sequence[Fitted]) -> tuple[dict[str, Any], list[Fitted]]:
    """Return the parameters with which to fit again what was fitted on several parts, and the models with them.

    Boosted trees get the mean of their rounds: with the best ones for each part, they would look better than they are.
    """
    parameters = dict(models[0].parameters)
    if len(models) == 1 or "rounds" not in parameters:
        return parameters, list(models)
    from model_orchestration.estimators.boosting import BoostedTrees

    parameters["rounds"] = max(1, round(fmean(model.parameters["rounds"] for model in models)))
    return parameters, [m.after(parameters["rounds"]) if isinstance(m, BoostedTrees) else m for m in models]


def refit(trainer: Trainer, parameters: Sequence[Parameters], data: Data) -> Fitted:
    """Fit a model with each of `parameters` and return it, or the mean of several ones."""
    models = [trainer.refit(one, data) for one in parameters]
    if len(models) == 1:
        return models[0]
    from model_orchestration.estimators.boosting import BoostedTrees, mean_of

    return mean_of([model for model in models if isinstance(model, BoostedTrees)])  # pages average no others
