"""Checks that a table is enough to train, validate and test a model. It takes no trial to know that it is not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model_orchestration.tables.training_table import (
    FOLDS,
    SPLITS,
    TEST,
    TRAIN,
    VALID,
    TrainingTable,
    assign_folds,
    split_rows,
)
from scorehouse.errors import TableError
from scorehouse.scoring.figures import figure_label
from scorehouse.scoring.quality import quality_by
from scorehouse.usecase import UseCase

LEAST = 20  # keys: with fewer, a split is empty in one table of 25


def require_enough(table: TrainingTable, use_case: UseCase, seed: int) -> None:
    """Check the rows of the table, of each split and of each fold.

    Raises:
        TableError: there are too few rows or keys, only one class or amount, or a split on which nothing can be
            learnt or judged.
    """
    different = len(set(table.keys))
    if len(table.truth) < LEAST:
        raise TableError(
            f"the table has {_rows(len(table.truth))}, but at least {LEAST} are needed to train, validate and test"
        )
    if different < LEAST:
        what = "value" if use_case.key else "row"
        what += ("s" if different > 1 else "") + (f" of {table.key_name}" if use_case.key else "")
        raise TableError(
            f"the table has {len(table.truth):,} rows with only {different} different {what}, "
            f"by which rows are divided into training, validation and test: at least {LEAST} are needed"
        )
    outcomes, counts = np.unique(table.truth, return_counts=True)
    if len(outcomes) < 2:
        kind = "amount" if use_case.task == "amount" else "class"
        raise TableError(
            f"{table.target_name}: all {len(table.truth):,} rows have one {kind}, {_outcome(table, outcomes[0])}, "
            "so there is nothing to learn"
        )
    split = split_rows(table, use_case, seed)
    for side in (TRAIN, VALID, TEST):
        if not (split == side).any():
            raise TableError(
                f"the {SPLITS[side]} split has no rows: the table has {len(table.truth):,} rows with {different} "
                f"different keys, which is too few, or SPLIT_SEED={seed} is unlucky"
            )
    known = split != TEST
    folds = assign_folds(table.keys, seed)
    parts = {f"the {SPLITS[TRAIN]} split": split == TRAIN}
    parts |= {
        f"the rows of cross-validation without fold {k + 1} of {FOLDS}": known & (folds != k) for k in range(FOLDS)
    }
    for part, chosen in parts.items():
        if len(np.unique(table.truth[chosen])) < 2:
            usual = outcomes[counts.argmax()]
            others = int((table.truth != usual).sum())
            raise TableError(
                f"{table.target_name}: only {others} of {len(table.truth):,} rows have another outcome than "
                f"{_outcome(table, usual)}, and none of them is in {part}: more such rows are needed"
            )
    for side, metric in ((VALID, use_case.rank_by), (TEST, use_case.promote_by or use_case.rank_by)):
        truth = table.truth[split == side]
        perfect = np.eye(len(use_case.classes))[truth.astype(np.intp)] if use_case.classes else truth
        if quality_by(metric, use_case.task, truth, perfect) is None:
            has = f"{_rows(len(truth))} with {_outcomes(table, truth)}"
            raise TableError(
                f"{table.target_name}: the {SPLITS[side]} split has {has}, on which the {figure_label(metric)} "
                f"({metric}) is not defined: more rows are needed to judge a model"
            )


def _outcome(table: TrainingTable, outcome: float) -> str:
    """Return an outcome as the raw table has it."""
    return table.outcomes.get(outcome, f"{outcome:g}")


def _outcomes(table: TrainingTable, truth: NDArray[np.float64]) -> str:
    different = np.unique(truth)
    if len(different) == 1:
        return f"the outcome {_outcome(table, different[0])}"
    return f"{len(different)} different outcomes"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
