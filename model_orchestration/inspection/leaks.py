"""Which columns contain the answer: copies of the target, its codes, its mean by group, or something nearly as good."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
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
_GROUPED = 5_000  # rows on which a column is tried as one number per group
_REPEATED = 0.95  # different values per row up to which a column names groups of rows


def without_leaks(columns: list[Column], target: Target, progress: Callable[[float], None]) -> list[Column]:
    """Return the columns, where those that contain the answer are left out, and suspicious ones have a warning.

    Copies of another column are left out as well. The columns include the key, and all that have no feature: any may
    name the groups over which the target was added up. `progress` goes from .5 to 1.
    """
    truth = target.truth()
    known = np.flatnonzero(np.isfinite(truth))
    if len(known) > JUDGED:
        known = np.random.default_rng(0).choice(known, JUDGED, replace=False)
    codes = {column.name: _codes(column) for column in columns}
    sums = _sums_by_group(columns, codes, truth, target.name)
    judged = []
    for place, column in enumerate(columns):
        if column.feature is not None and len(known) >= LEAST:
            values = codes[column.name][known]
            judged.append(_judge(column, target, values, truth[known], sums.get(column.name, "")))
        else:
            judged.append(column)
        progress(0.5 + 0.5 * (place + 1) / len(columns))
    return list(_without_copies(judged, codes))


def _judge(
    column: Column, target: Target, values: NDArray[np.float64], answers: NDArray[np.float64], is_sum: str
) -> Column:
    if _same(values, answers):
        return replace(column, feature=None, left_out=f"leak: it says {target.name} in other words, in every row")
    if is_sum:
        return replace(column, feature=None, left_out=f"leak: it is {is_sum}")
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
    return bool(np.array_equal(_labels(values), _labels(answers)))


def _labels(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the number of each row's value in the order in which values appear, (n,): the same for any renaming."""
    labels: NDArray[np.intp] = pd.factorize(values, use_na_sentinel=False)[0]
    return labels


def _sums_by_group(
    columns: list[Column], codes: Mapping[str, NDArray[np.float64]], truth: NDArray[np.float64], name: str
) -> dict[str, str]:
    """Return the columns that are one number per group of rows which follows from the target, and what each is.

    Any column whose values repeat may name the groups. All rows count, because the mean of some is another number.
    """
    numbers = [c.name for c in columns if c.feature is not None and pd.api.types.is_numeric_dtype(c.values)]
    known = np.isfinite(truth)
    rows = np.random.default_rng(0).permutation(np.flatnonzero(known))[:_GROUPED]
    if not numbers or len(rows) < LEAST:
        return {}
    sample = np.column_stack([codes[number][rows] for number in numbers])
    found: dict[str, str] = {}
    for column in columns:
        if not LEAST <= column.distinct <= _REPEATED * known.sum():
            continue
        groups = codes[column.name]
        for number in np.array(numbers)[_constant_in(groups[rows], sample)]:
            if number != column.name and (how := _is_sum(codes[number][known], truth[known], groups[known])):
                found.setdefault(number, f"the {how} of {name} for each {column.name}")
    return found


def _constant_in(groups: NDArray[np.float64], numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which columns of `numbers`, (n, k), have one value in each group, (k,); in a sample it may seem so."""
    order = np.argsort(groups, kind="stable")
    ordered = np.nan_to_num(numbers[order], nan=-np.inf)
    same_group = np.diff(groups[order]) == 0
    constant: NDArray[np.bool_] = ~(ordered[1:] != ordered[:-1])[same_group].any(axis=0)
    return constant


def _is_sum(values: NDArray[np.float64], answers: NDArray[np.float64], groups: NDArray[np.float64]) -> str:
    """Return which function of the group's answers a column is, where it has one value in each group; else nothing."""
    by_group = pd.DataFrame({"group": groups, "value": values, "answer": answers}).dropna().groupby("group")
    sizes = by_group.size()
    if len(sizes) < LEAST or (sizes < 2).all() or (by_group["value"].nunique() > 1).any():
        return ""
    value = by_group["value"].first()
    for how in ("mean", "sum", "median", "max", "min"):
        answer = by_group["answer"].agg(how)
        if min(answer.nunique(), value.nunique()) > 1 and abs(np.corrcoef(value, answer)[0, 1]) > LEAK:
            return how
    return ""


def _strength(values: NDArray[np.float64], answers: NDArray[np.float64], amounts: bool) -> float:
    """Return how well a tree of one column predicts rows it did not see: R2 of amounts, the mean AUC of classes."""
    rows = np.nan_to_num(values, nan=np.nanmin(values) - 1 if np.isfinite(values).any() else 0)[:, None]
    leaf = max(1, len(answers) // 2000)
    if amounts:
        both = np.isfinite(values)
        # A tree has too few leaves for a copy of many different amounts, and cannot reach amounts that are rare.
        straight = _agreement(values[both], answers[both]) * float(both.mean())
        predicted = cross_val_predict(_regressor(leaf), rows, answers, cv=3)
        spread = ((answers - answers.mean()) ** 2).sum()
        return max(straight, float(1 - ((answers - predicted) ** 2).sum() / spread))
    classes, counts = np.unique(answers, return_counts=True)
    if counts.min() < 3:
        return 0.0
    chances = cross_val_predict(_classifier(leaf), rows, answers, cv=3, method="predict_proba")
    areas = [auc((answers == value).astype(float), chances[:, place]) for place, value in enumerate(classes)]
    return float(np.average(areas, weights=counts))


def _agreement(values: NDArray[np.float64], answers: NDArray[np.float64]) -> float:
    """Return the square of the better correlation, of ranks or of amounts.

    A few huge amounts can make any two columns correlate, so that correlation alone is no proof of a leak.
    """
    if len(np.unique(values)) < 2:
        return 0.0
    ranks = float(stats.spearmanr(values, answers)[0])
    amounts = float(np.corrcoef(values, answers)[0, 1])
    return max(ranks**2, min(amounts**2, float(np.nextafter(LEAK, 0))))


def _regressor(leaf: int) -> DecisionTreeRegressor:
    return DecisionTreeRegressor(max_leaf_nodes=_LEAVES, min_samples_leaf=leaf, random_state=0)


def _classifier(leaf: int) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_leaf_nodes=_LEAVES, min_samples_leaf=leaf, random_state=0)


def _without_copies(columns: list[Column], codes: Mapping[str, NDArray[np.float64]]) -> Iterator[Column]:
    """Yield the columns, those left out that equal an earlier one in every row, or name its levels in other words."""
    numbers: dict[bytes, str] = {}
    levels: dict[bytes, tuple[str, bool]] = {}
    for column in columns:
        if column.feature is None or len(column.values) < LEAST:
            yield column
            continue
        numeric = pd.api.types.is_numeric_dtype(column.values)
        values = codes[column.name]
        first = numbers.setdefault(_digest(values), column.name) if numeric else column.name
        if first == column.name and column.distinct <= len(values) / 2:  # otherwise each value is a row's own
            other, also_numeric = levels.setdefault(_digest(_labels(values)), (column.name, numeric))
            # Two columns of numbers are the same only if the numbers are: another scale is another column.
            first = column.name if numeric and also_numeric else other
        if first == column.name:
            yield column
        else:
            yield replace(column, feature=None, left_out=f"copy: it says the same as {first}, in every row")


def _digest(values: NDArray[Any]) -> bytes:
    """Return what tells an array from any other. -0 is 0, and one NaN is like the other."""
    plain = np.where(np.isnan(values), np.nan, values + 0.0)
    return hashlib.blake2b(plain.tobytes(), digest_size=16).digest()
