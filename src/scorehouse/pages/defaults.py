"""What a page need not say: which models are tried, and by which figure they compete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from scorehouse.usecase import Estimator, Task, UseCase, boosted_trees

ESTIMATORS: Mapping[Task, tuple[Estimator, ...]] = {
    "binary": (boosted_trees("binary:logistic"),),
    "amount": (boosted_trees("reg:squarederror"),),
    "multiclass": (boosted_trees("multi:softprob"),),
    "ordinal": (boosted_trees("reg:squarederror"),),
}
RANK_BY: Mapping[Task, str] = {"binary": "log_loss", "amount": "rmse", "ordinal": "kappa", "multiclass": "log_loss"}


def with_defaults(use_case: UseCase) -> UseCase:
    """Return `use_case` with the task's estimators and figure where it declares none."""
    return replace(
        use_case,
        estimators=use_case.estimators or ESTIMATORS[use_case.task],
        rank_by=use_case.rank_by or RANK_BY[use_case.task],
    )
