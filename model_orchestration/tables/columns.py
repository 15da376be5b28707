"""Checks which columns a cleaned table has: what is absent, what is misspelt, and what contains the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_orchestration.tables.cleaning import Cleaned, list_columns
from model_orchestration.tables.faults import closest, suggest
from model_orchestration.tables.lineage import depends_on_own_row
from scorehouse.errors import TableError
from scorehouse.usecase import UseCase

LEAST = 20  # rows from which a column that equals the target in all of them is no accident


def require_columns(cleaned: Cleaned, use_case: UseCase) -> list[str]:
    """Check that `clean` returns what the page declares. Return what a person should know about absent columns.

    Raises:
        TableError: the target, the key or a required feature is absent, a column looks like an optional feature whose
            name is misspelt, or the target is a feature.
    """
    page = f"use_cases/{use_case.name}.py"
    columns = [str(c) for c in cleaned.table.columns]
    names = [f.name for f in use_case.features]
    if use_case.target in names:
        raise TableError(f"the target {use_case.target!r} is among the features of {page}: remove it from them")
    unused = [c for c in columns if c not in {*names, use_case.target, use_case.key, use_case.dated, use_case.split_by}]
    required = [
        (use_case.target, "the target"),
        *((f.name, "a required feature") for f in use_case.features if f.required),
    ]
    required += [(use_case.key, "the key")] if use_case.key else []
    required += [(use_case.split_by, "the time by which rows are split")] if use_case.split_by else []
    for name, role in required:
        if name not in columns:
            raise TableError(
                f"clean of {page} returns no column {name!r}, which is {role}"
                f"{suggest(name, unused) or suggest(name, cleaned.raw.columns)}; {list_columns(cleaned.table)}"
            )
    absent = [f.name for f in use_case.features if f.name not in columns]
    for name in absent:
        if found := closest(name, unused):
            raise TableError(
                f"clean of {page} returns no column {name!r}, but one that is like it and no feature: {found!r}. "
                "Give both the same name, or drop the column in clean"
            )
    return [f"{name}: the table has no such column, so it is missing in all rows" for name in absent]


def require_no_leak(
    cleaned: Cleaned,
    use_case: UseCase,
    parents: Mapping[str, tuple[str, ...]],
    records: list[dict[str, Any]],
    truth: NDArray[np.float64],
) -> None:
    """Raise TableError if a feature is made from the target's raw column, or equals the target in every row."""
    for feature in use_case.features:
        for raw in parents.get(use_case.target, ()):
            if raw in parents.get(feature.name, ()) and depends_on_own_row(
                use_case.clean, cleaned.raw, raw, feature.name
            ):
                raise TableError(
                    f"{feature.name} is made from {raw}, the column of the target, so it contains the answer: "
                    f"remove it from the features of use_cases/{use_case.name}.py"
                )
        values = pd.Series([record.get(feature.name) for record in records], dtype=object)
        if len(truth) >= LEAST and _equals(values, truth, use_case):
            raise TableError(
                f"{feature.name} tells the target {use_case.target} in every row, so it contains the answer: "
                f"remove it from the features of use_cases/{use_case.name}.py"
            )


def _equals(values: pd.Series[Any], truth: NDArray[np.float64], use_case: UseCase) -> bool:
    if values.isna().any():
        return False
    different = len(np.unique(truth))
    if use_case.task == "amount":
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
        return different > 1 and bool(np.array_equal(numbers, truth))
    if different < 2 or values.nunique() != different:
        return False
    return len(set(zip(values, truth, strict=True))) == different
