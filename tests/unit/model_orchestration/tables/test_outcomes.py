"""Outcomes join the training table: each in its split, weighted by age."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_orchestration.tables.outcomes import (
    HALF_LIFE_DAYS,
    NEWEST_WEIGHT,
    add_outcomes,
    read_outcomes,
    recency_weights,
    start_of_month,
)
from model_orchestration.tables.training_table import assign_splits
from scorehouse.stores.sqlite_store import SqliteStore
from scorehouse.usecase import Schedule, load_use_case
from tests import toy as toys

CHURN = load_use_case("churn")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def documents(count: int, seed: int = 3, drift: float = 0.0, first: int = 0) -> list[dict[str, Any]]:
    """Predictions with their outcomes as a store returns them, a minute apart."""
    table = toys.table(CHURN, count, seed, drift)
    return [
        {
            "prediction_id": f"p{first + i}", "use_case": "churn", "model_run_id": toys.RUN_ID, "door": "http",
            "created_at": NOON.isoformat(), "record": record, "prediction": 0.5, "customer_id": key,
            "outcome": int(truth), "outcome_at": (NOON + timedelta(minutes=i)).isoformat(),
        }
        for i, (record, truth, key) in enumerate(zip(table.records, table.truth.tolist(), table.keys, strict=True))
    ]  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "predictions.db")


def add(store: SqliteStore, found: Sequence[dict[str, Any]]) -> None:
    store.add([{**d, "outcome": None, "outcome_at": None} for d in found])
    store.add_outcomes([{k: d[k] for k in ("prediction_id", "outcome", "outcome_at")} for d in found])


def test_only_predictions_with_an_outcome_are_learnt_and_a_correction_counts_once(store: SqliteStore) -> None:
    found = documents(30)
    add(store, found[:20])
    store.add([{**d, "outcome": None, "outcome_at": None} for d in found[20:]])
    corrected = {**found[0], "outcome": 1 - found[0]["outcome"], "outcome_at": (NOON + timedelta(days=1)).isoformat()}
    store.add_outcomes([{k: corrected[k] for k in ("prediction_id", "outcome", "outcome_at")}])
    known = read_outcomes(store, CHURN)
    assert len(known) == 20
    assert (known[-1]["prediction_id"], known[-1]["outcome"]) == ("p0", corrected["outcome"])


def test_rows_of_the_table_stay_as_they_are_and_outcomes_follow_them() -> None:
    table, found = toys.table(CHURN, 100), documents(10)
    joined = add_outcomes(table, CHURN, found)
    assert joined.records[:100] == table.records and len(joined.records) == 110
    assert joined.truth[100:].tolist() == [d["outcome"] for d in found]
    assert joined.weights[:100].tolist() == [1.0] * 100
    assert "10 outcomes until 2026-11-21T12:09" in joined.source
    assert joined.data_hash != table.data_hash
    assert add_outcomes(table, CHURN, []) is table


def test_a_customer_of_the_table_stays_on_its_side_and_so_do_copies_of_a_record() -> None:
    table, found = toys.table(CHURN, 100), documents(10)
    found[0]["customer_id"] = int(table.keys[7])
    for document in found[1:3]:
        document |= {"customer_id": None, "record": dict(sorted(found[1]["record"].items()))}
    joined = add_outcomes(table, CHURN, found)
    side = assign_splits(joined.keys, 0, CHURN.split)
    assert side[100] == side[7] and joined.keys[101] == joined.keys[102]
    assert side[:100].tolist() == assign_splits(table.keys, 0, CHURN.split).tolist()


def test_the_newest_weighs_most_and_half_of_the_excess_is_left_after_the_half_life() -> None:
    assert recency_weights(np.array([0.0, HALF_LIFE_DAYS, 1e6])).tolist() == [
        NEWEST_WEIGHT, pytest.approx(1 + (NEWEST_WEIGHT - 1) / 2), 1.0,
    ]  # fmt: skip


def test_a_record_that_the_schema_refuses_by_now_is_left_out() -> None:
    found = documents(3)
    found[1]["record"] = {"gender": "X"}
    assert len(add_outcomes(toys.table(CHURN, 20), CHURN, found).records) == 22


@pytest.mark.parametrize(
    ("task", "truth", "outcomes", "kept"),
    [
        ("amount", [250.0, 80.0], [80.0, 0.0, -5.0, 0.5], [80.0, 0.5]),
        ("amount", [250.0, 0.0], [80.0, 0.0, -5.0, 0.5], [80.0, 0.0, -5.0, 0.5]),
        ("ordinal", [5.0, 6.0], [5, 6, 100, -3], [5.0, 6.0]),
    ],
)
def test_an_outcome_that_no_row_of_the_table_could_have_is_left_out(
    task: Any, truth: list[float], outcomes: list[float], kept: list[float]
) -> None:
    table = replace(toys.table(CHURN, 100, 1), truth=np.tile(truth, 50))
    found = [{**d, "outcome": outcome} for d, outcome in zip(documents(4), outcomes, strict=True)]
    assert add_outcomes(table, replace(CHURN, task=task), found).truth[100:].tolist() == kept


def test_what_is_dated_this_month_is_not_learnt_yet_by_the_use_cases_own_clock() -> None:
    london = replace(CHURN, schedule=Schedule(timezone="Europe/London"))
    assert start_of_month(london, NOON) == date(2026, 11, 1)
    eve = datetime(2026, 6, 30, 23, 30, tzinfo=UTC)  # half past midnight of July in London
    assert start_of_month(london, eve) == date(2026, 7, 1)
    assert start_of_month(CHURN, eve) == date(2026, 6, 1)
