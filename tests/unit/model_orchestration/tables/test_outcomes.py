"""Outcomes join the training table: each in its split, weighted by age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_orchestration.tables.outcomes import (
    HALF_LIFE_DAYS,
    NEWEST_WEIGHT,
    add_outcomes,
    limit_senders,
    read_outcomes,
    read_training_table,
    recency_weights,
    start_of_month,
)
from model_orchestration.tables.training_table import assign_splits
from scorehouse.pages.loading import load_use_case
from scorehouse.settings import Settings
from scorehouse.stores.sqlite_store import SqliteStore
from scorehouse.usecase import Schedule
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


def test_an_outcome_without_a_customer_shares_the_side_of_the_row_with_the_same_record() -> None:
    table = toys.table(CHURN, 100)
    found = documents(3)
    for place, document in enumerate(found):
        document |= {"customer_id": None, "record": dict(reversed(table.records[place].items()))}
    found[2]["record"] = {**found[2]["record"], "credit_limit": 4321}
    assert table.records[2].get("credit_limit") != 4321
    keys = add_outcomes(table, CHURN, found).keys
    assert keys[100:102] == table.keys[:2] and keys[102] not in table.keys


def test_where_rows_have_no_key_an_outcome_is_known_by_its_record_even_with_a_customer() -> None:
    wine = load_use_case("wine")
    table = toys.table(wine, 100)
    other = toys.table(wine, 103, seed=9)
    whole = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in table.records[7].items()}
    found = [
        {**document, "use_case": "wine", "record": record, "outcome": 6, "customer_id": customer_id}
        for document, record, customer_id in zip(
            documents(3), (whole, other.records[101], other.records[102]), (41, 42, 42), strict=True
        )
    ]
    keys = add_outcomes(table, wine, found).keys
    assert keys[100] == table.keys[7]
    assert keys[101] == keys[102] == "42"


@pytest.mark.parametrize("same", [700001, 700001.0, "700001", " 700001 ", "700001.0"])
def test_a_customer_is_the_same_whatever_its_type(same: Any) -> None:
    found = [{**documents(1)[0], "customer_id": same}]
    assert add_outcomes(toys.table(CHURN, 20), CHURN, found).keys[20] == "700001"


def test_predictions_of_checks_never_train(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    found = documents(4)
    found[1]["test"] = True
    batches = iter([[{**d, "outcome_seq": i} for i, d in enumerate(found)], []])
    monkeypatch.setattr(store, "outcomes_after", lambda *_: next(batches))
    assert [d["prediction_id"] for d in read_outcomes(store, CHURN)] == ["p0", "p2", "p3"]


def test_one_sender_has_at_most_its_share_and_its_newest_outcomes_stay() -> None:
    found = documents(30)
    for place, document in enumerate(found):
        document["sender"] = "mallory" if place % 3 else "ada"
    joined = add_outcomes(toys.table(CHURN, 100), CHURN, found, max_share=0.5)
    senders = joined.senders[100:]
    assert senders.count("mallory") == senders.count("ada") == 10
    newest = [d["customer_id"] for d in found if d["sender"] == "mallory"][-10:]
    assert [k for k, s in zip(joined.keys[100:], senders, strict=True) if s == "mallory"] == newest
    assert joined.senders[:100] == [""] * 100


def test_a_training_limits_each_sender_as_its_settings_say(store: SqliteStore, tmp_path: Path) -> None:
    pd.DataFrame(CHURN.sample(800, 1, 0.0)).to_csv(tmp_path / "table.csv", index=False)
    found = documents(50)
    store.add([{**d, "outcome": None, "outcome_at": None} for d in found])
    sent = [{k: d[k] for k in ("prediction_id", "outcome", "outcome_at")} for d in found]
    store.add_outcomes([{**one, "sender": "loud" if i < 40 else "quiet"} for i, one in enumerate(sent)])
    settings = Settings(
        data=str(tmp_path / "table.csv"), data_folder=tmp_path, train_on_outcomes=True, outcomes_max_share=0.6
    )
    assert Counter(filter(None, read_training_table(CHURN, settings).senders)) == {"loud": 15, "quiet": 10}


@pytest.mark.parametrize(
    ("senders", "share", "kept"),
    [
        ("", 0.5, ""),
        ("aaaa", 0.1, "aaaa"),  # a single sender
        ("aaaab", 0.5, "ab"),
        ("aaaab", 0.8, "aaaab"),
        ("aabbccc", 0.2, "aabbcc"),  # three senders cannot have less than a third each
        ("aaabbc", 0.4, "aabbc"),
    ],
)
def test_no_sender_has_more_than_its_share_of_what_stays(senders: str, share: float, kept: str) -> None:
    assert "".join(senders[i] for i in limit_senders(senders, share)) == kept


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
