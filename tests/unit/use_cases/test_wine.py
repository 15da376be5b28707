"""Wine: three measurements are enough, copies stay on one side, and the sample drifts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_orchestration.tables.training_table import assign_splits, prepare
from scorehouse.errors import TableError
from scorehouse.scoring.schema import RecordSchema, Rejected
from use_cases.wine import use_case

RECORD: dict[str, Any] = {f.name: f.example for f in use_case.features}
REQUIRED = {"alcohol", "volatile acidity", "sulphates"}


def test_three_measurements_are_required_and_eight_may_be_absent() -> None:
    check = RecordSchema(use_case.features).check
    assert {f.name for f in use_case.features if f.required} == REQUIRED
    assert len(use_case.features) == 11
    assert not isinstance(check({k: RECORD[k] for k in REQUIRED}), Rejected)
    for name in REQUIRED:
        refused = check({k: v for k, v in RECORD.items() if k != name})
        assert isinstance(refused, Rejected)
        assert [e.field for e in refused.errors] == [name]


def test_no_wine_is_dropped_and_copies_of_a_wine_share_their_side() -> None:
    raw = pd.DataFrame(use_case.sample(300, 3, 0.0))
    table = prepare(pd.concat([raw, raw.iloc[:60]]), use_case)
    assert len(table.records) == 360
    side = assign_splits(table.keys, 0, use_case.split)
    assert (side[:60] == side[300:]).all()


def test_a_table_without_a_measurement_is_refused_by_its_name() -> None:
    with pytest.raises(TableError, match="residual sugar"):
        prepare(pd.DataFrame(use_case.sample(20, 1, 0.0)).drop(columns="residual sugar"), use_case)


def test_the_sample_is_the_same_for_the_same_seed_and_moves_with_drift() -> None:
    first, again = use_case.sample(3000, 1, 0.0), use_case.sample(3000, 1, 0.0)
    assert all(np.array_equal(first[c], again[c]) for c in first)
    drifted = use_case.sample(3000, 1, 1.0)
    assert drifted["residual sugar"].mean() > 1.3 * first["residual sugar"].mean()
    sweet = [np.corrcoef(t["residual sugar"], t["quality"])[0, 1] for t in (first, drifted)]
    assert sweet[1] > sweet[0] + 0.2


def test_the_sample_has_the_marks_of_the_real_table_with_the_middle_ones_most_often() -> None:
    marks, counts = np.unique(use_case.sample(5000, 1, 0.0)["quality"], return_counts=True)
    assert marks.min() >= 3
    assert marks.max() <= 9
    assert marks[counts.argmax()] == 6
