"""The families of models that a use case can choose from. Each can fit, predict and export itself as ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from model_orchestration.estimators.base import Data, Fitted, Trainer
from scorehouse.scoring.encoding import Column
from scorehouse.usecase import Estimator, Task

__all__ = ["Data", "Fitted", "Trainer", "make_trainer"]


def make_trainer(estimator: Estimator, task: Task, columns: Sequence[Column], train: Data, valid: Data) -> Trainer:
    """Return a trainer of `estimator` for rows with `columns`. It fits on `train` and may stop early by `valid`."""
    if estimator.family == "xgboost":
        from model_orchestration.estimators.boosting import BoostingTrainer

        return BoostingTrainer(estimator, task, train, valid)
    # The families of scikit-learn and their converter take seconds to import, and most use cases need none of them.
    from model_orchestration.estimators.forest import export_forest, fit_forest
    from model_orchestration.estimators.linear import fit_lasso, fit_ridge
    from model_orchestration.estimators.pipeline import PipelineTrainer
    from model_orchestration.estimators.support_vector import export_svc, fit_svc

    match estimator.family:
        case "random_forest":
            return PipelineTrainer(estimator, columns, train, fit_forest, export_forest)
        case "ridge":
            return PipelineTrainer(estimator, columns, train, fit_ridge)
        case "lasso":
            return PipelineTrainer(estimator, columns, train, fit_lasso)
        case "svc":
            return PipelineTrainer(estimator, columns, train, fit_svc, export_svc)
        case _:
            assert_never(estimator.family)
