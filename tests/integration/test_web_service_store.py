"""The contract of the web pages' store, checked with SQLite and with a real MongoDB."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from scorehouse.errors import StoreUnavailable
from tests.toy import HOST
from web_service.offers.mongo_store import DATABASE, MongoStore
from web_service.offers.sqlite_store import SqliteStore
from web_service.offers.store import (
    CLIENT_RULE,
    LAYOUT,
    Attempts,
    Offer,
    Store,
    clear_attempts,
    client_key,
    count_attempt,
)


@pytest.fixture(params=["sqlite", "mongodb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "mongodb":
        address = request.getfixturevalue("mongodb_address")
        with MongoClient[dict[str, Any]](address) as client:
            client.drop_database(DATABASE)
        made: Store = MongoStore(address)
    else:
        made = SqliteStore(tmp_path / "c.db")
    yield made
    made.close()


def offer(id_: str, visitor: str = "v", at: float = 1000.0) -> Offer:
    return Offer(id_, visitor, at, {"Power": 90, "Type_fuel": None, "Value_vehicle": 17600.5})


def customer(id_: str, **fields: Any) -> dict[str, Any]:
    return {"ID": id_, "made_up": True, "Date_birth": "1970-04-15", "cost_per_claim": 250.5, **fields}


def test_customers_replace_each_other_and_sample_customers_are_removed(store: Store) -> None:
    assert store.customer("1") is None and store.made_up_customer() is None
    assert not store.has_customers(made_up=True)
    store.add_customers([customer("1"), customer("2")])
    store.add_customers([customer("2", made_up=False, cost_per_claim=0.0)])
    assert store.customer("1") == customer("1")
    assert store.customer("2") == customer("2", made_up=False, cost_per_claim=0.0)
    assert (store.has_customers(made_up=True), store.has_customers(made_up=False)) == (True, True)
    assert (store.made_up_customer() or {})["ID"] == "1"
    store.remove_made_up()
    assert store.customer("1") is None and store.customer("2") is not None
    assert not store.has_customers(made_up=True)


def test_an_offer_belongs_to_its_visitor_and_keeps_its_first_answer(store: Store) -> None:
    for asked in (offer("a"), offer("b", at=1001.0), offer("c", visitor="w")):
        store.add_offer(asked)
    assert store.offers_of("v") == [offer("b", at=1001.0), offer("a")]
    assert {o.prediction_id for o in store.unanswered()} == {"a", "b", "c"}
    assert store.unanswered()[-1] == offer("b", at=1001.0)
    store.mark_sent(["a", "b"], 1002.0)
    store.set_answer("a", 312.4, "", 1003.0)
    store.set_answer("a", 999.0, "", 1004.0)
    store.set_answer("b", None, "too rare", 1003.0)
    store.set_answer("nobody's", 1.0, "", 1003.0)
    first, second = store.offers_of("v")[::-1]
    assert (first.premium, first.sent_at, first.answered_at, first.refused) == (312.4, 1002.0, 1003.0, "")
    assert (second.premium, second.refused) == (None, "too rare")
    assert store.unanswered() == [offer("c", visitor="w")]
    assert store.offers_of("nobody") == []


def test_of_a_hundred_attempts_at_once_five_are_allowed(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        allowed = [
            until == 0 for until in pool.map(lambda _: count_attempt(store, "17", "192.0.2.1", 1000.0), range(100))
        ]
    assert sum(allowed) == CLIENT_RULE.free
    assert store.attempts(client_key("17", "192.0.2.1")).locked_until > 1000.0
    assert store.attempts("17").failures == CLIENT_RULE.free
    clear_attempts(store, "17", "192.0.2.1")
    assert store.attempts("17") == store.attempts(client_key("17", "192.0.2.1")) == Attempts()


def test_attempts_that_were_counted_in_between_are_not_replaced(store: Store) -> None:
    assert store.replace_attempts("17", Attempts(), Attempts(1, 5.0))
    assert not store.replace_attempts("17", Attempts(), Attempts(1, 5.0))
    assert not store.replace_attempts("17", Attempts(2, 5.0), Attempts(3, 6.0))
    assert store.replace_attempts("17", Attempts(1, 5.0), Attempts(2, 6.0))
    assert store.attempts("17") == Attempts(2, 6.0)


def test_what_is_old_is_forgotten_and_nothing_else(store: Store) -> None:
    store.add_offer(offer("old"))
    store.add_offer(offer("new", at=2000.0))
    store.replace_attempts("old", Attempts(), Attempts(1, 1000.0))
    store.replace_attempts("new", Attempts(), Attempts(1, 2000.0))
    store.forget(1500.0)
    assert store.offers_of("v") == [offer("new", at=2000.0)]
    assert (store.attempts("old"), store.attempts("new")) == (Attempts(), Attempts(1, 2000.0))


def test_a_mongodb_that_is_down_is_reported_as_unavailable() -> None:
    store = MongoStore(f"mongodb://{HOST}:9")  # the discard port, where nothing answers
    with pytest.raises(StoreUnavailable, match="is not responding"):
        store.customer("1")
    store.close()


def test_a_file_that_is_not_a_database_is_reported_as_unavailable(tmp_path: Path) -> None:
    (tmp_path / "c.db").write_text("no database" * 100)
    store = SqliteStore(tmp_path / "c.db")
    with pytest.raises(StoreUnavailable, match="is not responding"):
        store.customer("1")
    store.close()


def newer(store: Store, version: int) -> Store:
    """Set the version of a store's layout, and return the store as another process opens it."""
    store.close()
    if isinstance(store, SqliteStore):
        with closing(sqlite3.connect(store._path)) as db:
            db.execute(f"PRAGMA user_version = {version}")
        return SqliteStore(store._path)
    assert isinstance(store, MongoStore)
    address = "mongodb://{}:{}".format(*next(iter(store._client.topology_description.server_descriptions())))
    with MongoClient[dict[str, Any]](address) as client:
        client[DATABASE]["layout"].update_one({"_id": "insurance"}, {"$set": {"version": version}})
    return MongoStore(address)


def test_a_store_has_a_version_and_a_newer_one_is_left_alone_with_what_to_do(
    store: Store, request: pytest.FixtureRequest
) -> None:
    store.add_customers([customer("1")])
    same = newer(store, LAYOUT)
    request.addfinalizer(same.close)
    assert same.customer("1") == customer("1")
    later = newer(same, LAYOUT + 6)
    request.addfinalizer(later.close)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"has layout 7, .* up to 1: .* run that version \(git pull\)"):
            later.add_customers([customer("2")])


def test_a_file_from_before_the_versions_is_taken_over(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    first = SqliteStore(tmp_path / "c.db")
    first.add_customers([customer("1")])
    other = newer(first, 0)
    request.addfinalizer(other.close)
    assert other.customer("1") == customer("1")
    with closing(sqlite3.connect(tmp_path / "c.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (LAYOUT,)
