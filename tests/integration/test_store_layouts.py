"""Stores that commit f242fb3 wrote (the first layout) are migrated at the first use, whoever opens and is killed.

The files in layouts/ are what that commit's code stored: 41 predictions of churn and wine, with outcomes of p1 to p3.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from bson import json_util
from pymongo import MongoClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from scorehouse.errors import StoreUnavailable
from scorehouse.stores import mongo_layout, mongo_store, sqlite_layout
from scorehouse.stores.mongo_layout import ABANDONED_SECONDS
from scorehouse.stores.mongo_reports import MongoReports
from scorehouse.stores.mongo_store import DATABASE, PREDICTIONS
from scorehouse.stores.sqlite_reports import SqliteReports
from scorehouse.stores.store import Document, Key
from tests.integration.test_store_contract import outcome, prediction
from tests.toy import ROOT

LAYOUTS = ROOT / "tests" / "integration" / "layouts"
OpenStore = Callable[[], Any]
AT = "2026-11-21T07:00:00+00:00"


class Old:
    """A store of the first layout."""

    def __init__(self, kind: str, place: str):
        self.kind, self.place = kind, place
        self.opened: list[Any] = []

    def open(self, clock: Callable[[], float] = time.time) -> Any:
        """Open it with the present code, as a process of its own would."""
        one: Any = SqliteReports(Path(self.place)) if self.kind == "sqlite" else MongoReports(self.place, clock)
        self.opened.append(one)
        return one


@pytest.fixture(params=["sqlite", "mongodb"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Old]:
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "predictions.db")) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript((LAYOUTS / "layout-1.sql").read_text())
        one = Old("sqlite", str(tmp_path / "predictions.db"))
    else:
        address = request.getfixturevalue("mongodb_address")
        with MongoClient[Document](address, tz_aware=True) as client:
            client.drop_database(DATABASE)
            for name, documents in json_util.loads((LAYOUTS / "layout-1.json").read_text()).items():
                client[DATABASE][name].insert_many(documents)
            client[DATABASE]["predictions"].create_index([("seq", 1), ("use_case", 1)])
        one = Old("mongodb", address)
    yield one
    for store in one.opened:
        store.close()


def check(store: Any) -> None:
    """Check that everything is there, under its old numbers, and that the new layout's rules hold."""
    churn, wine = (store.predictions_after(name, 0, 100) for name in ("churn", "wine"))
    assert sorted(p["seq"] for p in (*churn, *wine)) == list(range(1, 42))
    assert {p["prediction_id"] for p in churn} == {f"p{n}" for n in range(1, 41, 2)}
    assert [p["prediction_id"] for p in wine] == [*(f"p{n}" for n in range(2, 41, 2)), "churn/p1"]
    first = churn[0]
    assert first["record"] == {"age": 1, "name": None, "x": 0.5} and first["created_at"][:19] == "2026-11-21T06:00:01"
    assert (first["outcome"], first["outcome_at"], first["outcome_seq"]) == (1.0, AT, 1)
    assert (first["caller"], first["test"], first["sender"], first["other_outcomes"]) == (None, False, None, None)
    assert [p["prediction_id"] for p in store.outcomes_after("churn", 0, 100)] == ["p1", "p3"]
    assert [p["prediction_id"] for p in store.outcomes_after("wine", 0, 100)] == ["p2"]
    assert store.keys_of_customer("c3") == [Key("churn", "p3")] and store.keys_of_customer("gone") == []
    assert store.waiting_outcomes() == 1
    assert [c["records"] for c in store.rejected_since("churn", 0)] == [2]
    assert [r["id"] for r in store.reports(10)] == ["r1"]
    assert store.identity().last == 42  # the number of the erased prediction is not given again
    assert len(store.identity().store_id) == 32


def test_everything_is_there_after_a_migration_and_the_new_rules_hold(old: Old) -> None:
    store = old.open()
    check(store)
    assert store.add([prediction("p1", use_case="wine"), prediction("late", use_case="wine")]) == (2, [])
    assert store.waiting_outcomes() == 0
    assert [(p["prediction_id"], p["seq"] > 42) for p in store.predictions_after("wine", 41, 9)] == [
        ("p1", True), ("late", True),
    ]  # fmt: skip
    store.add_outcomes([outcome("p5", 1.0)])
    (known,) = store.outcomes_after("churn", 3, 9)
    assert known["prediction_id"] == "p5"


def test_a_migrated_store_is_not_migrated_again(old: Old) -> None:
    check(old.open())
    before = old.open().identity()
    check(old.open())
    assert old.open().identity() == before


def test_several_processes_that_open_it_at_once_migrate_it_once(old: Old) -> None:
    def open_and_check(_: int) -> str:
        store = old.open()
        for _ in range(100):
            with suppress(StoreUnavailable):  # another one migrates
                check(store)
                return str(store.identity().store_id)
            time.sleep(0.05)
        raise AssertionError("it is never done")

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(open_and_check, range(6)))) == 1


@pytest.mark.parametrize("after", [1, 2, 4])
def test_a_migration_that_is_killed_is_finished_by_the_next_process(old: Old, after: int) -> None:
    program = """
        import os, signal, sys
        from itertools import count
        from scorehouse.stores import mongo_layout, sqlite_layout
        from tests.integration.test_store_layouts import Old
        calls = count(1)
        def dying(function):
            def call(*given):
                if next(calls) > int(sys.argv[3]):
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*given)
            return call
        sqlite_layout.AT_ONCE = mongo_layout.AT_ONCE = 7
        sqlite_layout.monotonic = dying(sqlite_layout.monotonic)
        mongo_layout.parts = dying(mongo_layout.parts)  # between the new documents and the removal of the old ones
        Old(sys.argv[1], sys.argv[2]).open().identity()
    """
    command = [sys.executable, "-c", textwrap.dedent(program), old.kind, old.place, str(after)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == -9, ended.stderr
    if old.kind == "mongodb":
        with pytest.raises(StoreUnavailable, match="another process migrates"):
            old.open().identity()
    check(old.open(clock=lambda: time.time() + ABANDONED_SECONDS + 1))


class Searches(CommandListener):
    """The filters with which predictions were read and removed."""

    def __init__(self) -> None:
        self.filters: list[Document] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command.get("find") == PREDICTIONS:
            self.filters.append(event.command["filter"])
        if event.command.get("delete") == PREDICTIONS:
            self.filters += [one["q"] for one in event.command["deletes"]]

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing to note."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing to note."""


@pytest.mark.parametrize("old", ["mongodb"], indirect=True)
def test_each_step_of_a_migration_reads_what_an_index_finds(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    searches = Searches()
    monkeypatch.setattr(mongo_layout, "AT_ONCE", 10)
    with MongoClient[Document](old.place, tz_aware=True, event_listeners=[searches]) as client:
        mongo_layout.Layout(client[DATABASE], time.time).prepare()
        indexes = client[DATABASE][PREDICTIONS].index_information()
    assert len(searches.filters) > 10
    assert [asked for asked in searches.filters if not {"seq", "$or"} & asked.keys()] == []  # $or: by their ids
    assert not {"seq_1_use_case_1", "outcome_seq_1_use_case_1"} & indexes.keys()


@pytest.mark.parametrize("old", ["mongodb"], indirect=True)
def test_a_slow_server_delays_a_migration_and_does_not_end_it(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_store, "SOCKET_SECONDS", 0.0001)  # what is given up begins again, and never ends
    with MongoClient[Document](old.place, tz_aware=True) as client:
        store = old.open()
        with suppress(StoreUnavailable):  # the call itself has its own bound
            store.identity()
        assert client[DATABASE]["layout"].find_one({"_id": "layout"}) is not None, "it was not migrated"
    check(old.open())


@pytest.mark.parametrize("old", ["mongodb"], indirect=True)  # one shipper alone writes a SQLite file
def test_what_an_older_shipper_writes_after_the_migration_is_migrated_at_the_next_start(old: Old) -> None:
    check(old.open())
    with MongoClient[Document](old.place, tz_aware=True) as client:
        predictions = client[DATABASE]["predictions"]
        (late,) = json_util.loads((LAYOUTS / "layout-1.json").read_text())["predictions"][:1]
        predictions.insert_one({**late, "_id": "late-one", "prediction_id": "late-one", "seq": 43})
        client[DATABASE]["counters"].update_one({"_id": "seq"}, {"$inc": {"value": 1}})
    assert [p["prediction_id"] for p in old.open().predictions_after("churn", 42, 9)] == ["late-one"]


def test_a_store_that_is_newer_than_the_code_says_what_to_do_and_is_left_alone(old: Old) -> None:
    old.open().identity()
    if old.kind == "sqlite":
        with closing(sqlite3.connect(old.place)) as db:
            db.execute("PRAGMA user_version = 3")
    else:
        with MongoClient[Document](old.place) as client:
            client[DATABASE]["layout"].update_one({"_id": "layout"}, {"$set": {"version": 3}})
    store = old.open()
    for call in (store.identity, lambda: store.add([prediction("new")]), lambda: store.reports(1)):
        with pytest.raises(StoreUnavailable, match=r"layout 3.*up to 2.*git pull"):
            call()


def test_a_long_migration_says_how_far_it_is(
    old: Old, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for layout in (sqlite_layout, mongo_layout):
        monkeypatch.setattr(layout, "SILENT_SECONDS", -1)
        monkeypatch.setattr(layout, "AT_ONCE", 10)
    old.open().identity()
    told = [record.getMessage() for record in caplog.records]
    assert sum("migrating the prediction store to layout 2:" in text for text in told) >= 3
    assert sum("migrated the prediction store to layout 2: 41 predictions" in text for text in told) == 1
