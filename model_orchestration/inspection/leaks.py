"""Which columns contain the answer: copies of the target, its codes, its mean by key, or something nearly as good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from sklearn.model_selection import cross_val_predict
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from model_orchestration.inspection.kinds import Column
from model_orchestration.inspection.target import Target
from scorehouse.scoring.figures import auc

JUDGED = 20_000  # rows that are looked at
LEAST = 20  # rows from which agreement in all of them is no accident
# How much of the target a tree of this column alone predicts, on rows that it did not see: the AUC of classes, R2 of
# amounts. The best columns of public tables that are not leaks reach .97 (thyroids) and .95 (irises).
LEAK, SUSPECT, SUSPECT_AMOUNT = 0.999, 0.98, 0.95
_LEAVES = 64


def without_leaks(
    columns: list[Column], target: Target, key: Column | None, progress: Callable[[float], None]
) -> list[Column]:
    """Return the columns, where those that contain the answer are left out, and suspicious ones have a warning.

    Copies of another column are left out as well. `key` names rows that belong together. `progress` goes from .5 to 1.
    """
    truth = target.truth()
    known = np.flatnonzero(np.isfinite(truth))
    if len(known) > JUDGED:
        known = np.random.default_rng(0).choice(known, JUDGED, replace=False)
    keys = None if key is None else key.values
    judged = []
    for place, column in enumerate(columns):
        judged.append(column if column.feature is None else _judge(column, target, truth, known, keys))
        progress(0.5 + 0.5 * (place + 1) / len(columns))
    return list(_without_copies(judged))


def _judge(
    column: Column, target: Target, truth: NDArray[np.float64], known: NDArray[np.intp], keys: pd.Series[Any] | None
) -> Column:
    values = _codes(column)[known]
    answers = truth[known]
    if len(known) < LEAST:
        return column
    if _same(values, answers):
        return replace(column, feature=None, left_out=f"leak: it says {target.name} in other words, in every row")
    if keys is not None and _is_mean_by_key(values, answers, keys.to_numpy()[known]):
        return replace(column, feature=None, left_out=f"leak: it is the mean of {target.name} for each key")
    strength = _strength(values, answers, target.task == "amount")
    figure = "R2" if target.task == "amount" else "AUC"
    if strength >= LEAK:
        why = f"leak: alone, it predicts {target.name} with {figure} {strength:.4f}"
        return replace(column, feature=None, left_out=why)
    if strength >= (SUSPECT_AMOUNT if target.task == "amount" else SUSPECT):
        why = f"alone, it predicts {target.name} with {figure} {strength:.3f}: is it known before the answer is?"
        return replace(column, warning=why)
    return column


def _codes(column: Column) -> NDArray[np.float64]:
    """Return a column's values as numbers, (n,): a category by its frequency-free code, a gap as NaN."""
    values = column.values
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    codes, _ = pd.factorize(values, sort=False)
    return np.where(codes < 0, np.nan, codes.astype(np.float64))


def _same(values: NDArray[np.float64], answers: NDArray[np.float64]) -> bool:
    """Return whether each value stands for one answer, and each answer for one value, as a copy or a code does.

    Where most values differ, they tell nothing but the row.
    """
    if len(np.unique(answers)) > len(answers) / 2:
        return bool(np.array_equal(values, answers, equal_nan=True))
    pairs = pd.DataFrame({"value": np.nan_to_num(values, nan=-np.inf), "answer": answers}).drop_duplicates()
    return pairs["value"].is_unique and pairs["answer"].is_unique


def _is_mean_by_key(values: NDArray[np.float64], answers: NDArray[np.float64], keys: NDArray[Any]) -> bool:
    by_key = pd.DataFrame({"key": keys, "value": values, "answer": answers}).dropna().groupby("key")
    if by_key.ngroups < LEAST or (by_key.size() < 2).all() or (by_key["value"].nunique() > 1).any():
        return False
    mean = by_key["answer"].mean()
    return bool(mean.nunique() > 1 and abs(np.corrcoef(by_key["value"].first(), mean)[0, 1]) > LEAK)


def _strength(values: NDArray[np.float64], answers: NDArray[np.float64], amounts: bool) -> float:
    """Return how well a tree of one column predicts rows it did not see: R2 of amounts, the mean AUC of classes."""
    rows = np.nan_to_num(values, nan=np.nanmin(values) - 1 if np.isfinite(values).any() else 0)[:, None]
    leaf = max(1, len(answers) // 2000)
    if amounts:
        both = np.isfinite(values)
        rank = stats.spearmanr(values[both], answers[both])[0] if len(np.unique(values[both])) > 1 else 0.0
        straight = float(rank**2 * both.mean())  # a tree has too few leaves for a copy of many different amounts
        predicted = cross_val_predict(_regressor(leaf), rows, answers, cv=3)
        spread = ((answers - answers.mean()) ** 2).sum()
        return max(straight, float(1 - ((answers - predicted) ** 2).sum() / spread))
    classes, counts = np.unique(answers, return_counts=True)
    if counts.min() < 3:
        return 0.0
    chances = cross_val_predict(_classifier(leaf), rows, answers, cv=3, method="predict_proba")
    areas = [auc((answers == value).astype(float), chances[:, place]) for place, value in enumerate(classes)]
    return float(np.average(areas, weights=counts))


def _regressor(leaf: int) -> DecisionTreeRegressor:
    return DecisionTreeRegressor(max_leaf_nodes=_LEAVES, min_samples_leaf=leaf, random_state=0)


def _classifier(leaf: int) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_leaf_nodes=_LEAVES, min_samples_leaf=leaf, random_state=0)


def _without_copies(columns: list[Column]) -> Iterator[Column]:
    """Yield the columns, those left out that equal an earlier one in every row, or name its levels in other words."""
    seen: list[tuple[Column, NDArray[np.float64]]] = []
    for column in columns:
        if column.feature is None:
            yield column
            continue
        codes = _codes(column)
        numeric = pd.api.types.is_numeric_dtype(column.values)
        first = next((other for other, theirs in seen if _copies(codes, theirs, numeric, other)), None)
        if first is None or len(codes) < LEAST:
            seen.append((column, codes))
            yield column
        else:
            yield replace(column, feature=None, left_out=f"copy: it says the same as {first.name}, in every row")


def _copies(codes: NDArray[np.float64], theirs: NDArray[np.float64], numeric: bool, other: Column) -> bool:
    if numeric and pd.api.types.is_numeric_dtype(other.values):
        return bool(np.array_equal(codes, theirs, equal_nan=True))
    return _same(codes, np.nan_to_num(theirs, nan=-np.inf))
