"""A prediction store that goes away: told within bounds, and everything is there once it is back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from scorehouse.environment import read_settings
from scorehouse.errors import SettingError, StoreUnavailable
from scorehouse.journal.journal import Journal, segments
from scorehouse.journal.shipper import Shipper
from scorehouse.stores.mongo_numbers import OPEN_SECONDS, Numbers
from scorehouse.stores.mongo_store import MongoStore
from scorehouse.stores.open import open_store
from scorehouse.stores.sqlite_store import SqliteStore
from tests import servers
from tests.integration.test_store_contract import all_of, outcome, prediction
from tests.servers import Server
from tests.toy import HOST, free_port, until
from tests.unit.scorehouse.journal.test_shipper import line


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator[Server]:
    """A MongoDB of this test's own, that it may stop."""
    with servers.mongod(tmp_path / "mongodb").running() as server:
        yield server


def stores(store: MongoStore, predictions: list[Any]) -> bool:
    """Try once, as the shipper does over and over."""
    with suppress(StoreUnavailable):
        store.add(predictions)
        return True
    return False


def test_the_settings_choose_the_store_and_connect_nothing(tmp_path: Path) -> None:
    nowhere = f"mongodb://{HOST}:{free_port()}"
    began = time.monotonic()
    chosen = open_store(read_settings({"MONGODB_ADDRESS": nowhere}))
    assert isinstance(chosen, MongoStore)
    assert time.monotonic() - began < 2
    chosen.close()
    assert isinstance(open_store(read_settings({"DATA_FOLDER": str(tmp_path)})), SqliteStore)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["mongodb://", "mongodb://a:b:c", "mongodb://u:p@ss@host/"])
def test_an_address_that_is_none_is_refused_by_name(address: str) -> None:
    with pytest.raises(SettingError, match="MONGODB_ADDRESS"):
        open_store(read_settings({"MONGODB_ADDRESS": address}))


def test_every_call_to_a_server_that_is_not_there_ends_within_seconds_and_names_no_password(
    request: pytest.FixtureRequest,
) -> None:
    store = MongoStore(f"mongodb://user:secret@{HOST}:{free_port()}")
    request.addfinalizer(store.close)
    calls: list[Any] = [
        lambda: store.add([prediction("one")]),
        lambda: store.add_outcomes([outcome("one", 1.0)]),
        lambda: store.predictions_after("churn", 0, 10),
        store.waiting_outcomes,
    ]
    for call in calls:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable) as told:
            call()
        assert time.monotonic() - began < 10
        assert "secret" not in str(told.value) and len(str(told.value)) < 300


def test_a_server_that_stops_and_comes_back_takes_what_it_missed(mongod: Server, tmp_path: Path) -> None:
    store, journal = MongoStore(mongod.address), Journal(tmp_path / "j", "http")
    with Shipper(tmp_path / "j", store) as shipper:
        journal.append(line("before"))
        assert shipper.ship() == 1
        mongod.stop()
        journal.append(line("meanwhile"))
        with pytest.raises(StoreUnavailable):
            shipper.ship()
        journal.close()
        assert len(list(segments(tmp_path / "j"))) == 1
        mongod.start()
        assert shipper.ship() == 1
    assert [p["prediction_id"] for p in all_of(store)] == ["before", "meanwhile"]
    assert list(segments(tmp_path / "j")) == []
    store.close()


def test_a_server_that_takes_connections_and_answers_nothing_holds_nobody_up(
    mongod: Server, request: pytest.FixtureRequest
) -> None:
    store = MongoStore(mongod.address)
    request.addfinalizer(store.close)
    store.add([prediction("before")])
    with mongod.stopped_for_a_while():
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.add([prediction("meanwhile")])
        assert time.monotonic() - began < 10
    until(lambda: stores(store, [prediction("before"), prediction("after")]), 60, "it takes predictions again")
    assert {"before", "after"} <= {p["prediction_id"] for p in all_of(store)}


def test_a_writer_killed_between_taking_numbers_and_writing_holds_readers_up_for_a_while_and_loses_nothing(
    mongodb_address: str,
) -> None:
    now = [1000.0]
    store = MongoStore(mongodb_address, clock=lambda: now[0])
    store._client.drop_database("scorehouse")
    store.add([prediction("first")])
    numbers: Numbers = store._numbers["seq"]
    killed = numbers.take(5)
    assert killed.__enter__() == 2  # and it never comes back
    store.add([prediction("second")])
    assert [p["prediction_id"] for p in all_of(store)] == ["first"]
    now[0] += OPEN_SECONDS + 1
    assert [(p["prediction_id"], p["seq"]) for p in all_of(store)] == [("first", 1), ("second", 7)]
    store.add([prediction("third")])
    counter: Any = store._client["scorehouse"]["counters"].find_one({"_id": "seq"})
    assert counter == {"_id": "seq", "value": 8, "open": {}}
    store.close()
