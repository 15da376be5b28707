"""The monitor follows SQLite and MongoDB alike: predictions, late outcomes and counts of rejected records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pymongo import MongoClient

from monitoring.evidently_service.windows.cursor import MonitorFolder
from monitoring.evidently_service.windows.follower import Follower
from scorehouse.stores.mongo_store import DATABASE, MongoStore
from scorehouse.stores.sqlite_store import SqliteStore
from scorehouse.stores.store import Document
from tests.unit.monitoring.house import NOON, RUN, USE_CASE, FakeCache, documents, records

AT = "2026-11-21T12:10:00.000000+00:00"


@pytest.fixture(params=["sqlite", "mongodb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A real store, empty."""
    if request.param == "sqlite":
        return SqliteStore(tmp_path / "predictions.db")
    address = request.getfixturevalue("mongodb_address")
    with MongoClient[Document](address) as client:
        client.drop_database(DATABASE)
    return MongoStore(address)


def shown(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"dataset_name": "house", "model_run_id": RUN, **labels})


def test_what_the_store_holds_is_what_the_monitor_shows(store: Any, tmp_path: Path) -> None:
    cache, folder = FakeCache(), MonitorFolder(tmp_path / "monitor")
    follower = Follower(USE_CASE, store, cache, folder, lambda: NOON + 700)  # type: ignore[arg-type]
    usual, shifted = documents(records(600, seed=2)), documents(records(500, seed=3, drift=1), 601, at=NOON + 600)
    store.add(usual)
    follower.poll()
    assert shown("evidently:data_drift:dataset_drift") == 0
    store.add(shifted)
    follower.poll()
    assert shown("evidently:data_drift:dataset_drift") == 1
    assert shown("scorehouse_feature_drifted", feature="limit", feature_type="num") == 1
    store.add_outcomes([{"prediction_id": f"p{n}", "outcome": float(n % 2), "outcome_at": AT} for n in range(1, 101)])
    store.add_outcomes([{"prediction_id": "unknown", "outcome": 1.0, "outcome_at": AT}])
    count = {"kind": "rejected", "id": "x", "use_case": "house", "model_run_id": RUN, "door": "http"}
    reasons = [{"reason": "limit is missing", "records": 40}]
    store.add_rejected([{**count, "minute": int(NOON // 60) + 5, "records": 40, "reasons": reasons}])
    follower.poll()
    assert shown("scorehouse_quality_records", source="outcomes") == 100
    assert shown("scorehouse_quality", figure="mean_true", source="outcomes") == 0.5
    assert REGISTRY.get_sample_value("scorehouse_waiting_outcomes", {"dataset_name": "house"}) == 1
    assert follower.watches[0].recent.reasons == {"limit is missing": 40}
    store.close()
