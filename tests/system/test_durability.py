"""What was answered is in the store exactly once, whichever process is killed and whichever store is down."""

from __future__ import annotations

import http.client
import logging
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests
from pymongo import MongoClient

from tests import models, processes, servers
from tests.models import RUN_ID, Model
from tests.processes import HOST, Scorer, until

log = logging.getLogger(__name__)  # --log-cli-level=INFO shows the figures
REQUESTS = int(os.environ.get("DURABILITY_REQUESTS", "3000"))  # 30000 for the figure in the README
CONNECTIONS, KILLS = 8, 3
DRAIN_SECONDS = 90  # a shipper whose store is down waits at most 30 s before it tries again


class Load:
    """Clients that post one record at a time, each over its own connection, until `wanted` are acknowledged."""

    def __init__(self, scorer: Scorer, records: list[dict[str, Any]], wanted: int):
        self.port = int(scorer.url.rpartition(":")[2])
        self.bodies = [orjson.dumps(record) for record in records]
        self.wanted = wanted
        self.acknowledged = list[str]()
        self.cut_off = 0
        self.refused = Counter[int]()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._client, args=(n,)) for n in range(CONNECTIONS)]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the clients, and wait until they are done."""
        for thread in self.threads:
            thread.start()
        try:
            yield
        finally:
            for thread in self.threads:
                thread.join(600)

    def reached(self, count: int) -> bool:
        """Return whether `count` answers came."""
        return len(self.acknowledged) >= count

    def _client(self, number: int) -> None:
        place, connection = number, None
        while not self.reached(self.wanted):
            try:
                connection = connection or self._connect()
                self._ask(connection, self.bodies[place % len(self.bodies)])
                place += CONNECTIONS
            except (OSError, http.client.HTTPException):  # the scorer was killed, or does not listen yet
                with self.lock:
                    self.cut_off += connection is not None
                if connection:
                    connection.close()
                connection = None
                time.sleep(0.02)
        if connection:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        connection.connect()
        return connection

    def _ask(self, connection: http.client.HTTPConnection, body: bytes) -> None:
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        with self.lock:
            if answer.status == 200:
                self.acknowledged.append(orjson.loads(content)["prediction_id"])
            else:
                self.refused[answer.status] += 1


class ScorerAndShipper:
    """A scorer and a shipper that share a data folder."""

    def __init__(self, folder: Path, toy: Model, **environ: str):
        self.folder = folder
        self.scorer = processes.scorer(folder, models.cache_in(folder, toy), **environ)
        self.shipper = processes.shipper(folder, **environ)

    def running(self) -> Any:
        """Start both and stop both."""
        return processes.running(self.scorer, self.shipper)

    def store_is_up(self) -> bool:
        """Return whether /readyz says that the store accepts what it is given."""
        about = requests.get(f"{self.scorer.url}/readyz", timeout=10).json()
        return bool(about.get("store") == "ok")

    def stored(self) -> list[str]:
        """Return the ids in the SQLite store."""
        path = self.folder / "predictions.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(path, timeout=30)) as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'predictions'").fetchone():
                return []  # the shipper has created the file but not its tables
            return [row[0] for row in db.execute("SELECT prediction_id FROM predictions ORDER BY seq")]


def stored_in_mongodb(address: str) -> list[str]:
    """Return the ids in the MongoDB store."""
    with MongoClient[dict[str, Any]](address) as client:
        return [p["prediction_id"] for p in client["scorehouse"]["predictions"].find().sort("seq")]


def wait_until_stored(acknowledged: list[str], stored: Callable[[], list[str]]) -> None:
    """Wait until the shipper has caught up."""
    until(lambda: set(acknowledged) <= set(stored()), DRAIN_SECONDS, f"{len(acknowledged)} predictions are stored")


@pytest.fixture
def pair(tmp_path: Path, toy: Model) -> ScorerAndShipper:
    return ScorerAndShipper(tmp_path / "data", toy)


def assert_exactly_once(acknowledged: list[str], stored: list[str], cut_off: int) -> None:
    """Check that each acknowledged prediction is stored once, and of the others only what was cut off unanswered."""
    assert len(acknowledged) == len(set(acknowledged))
    assert len(stored) == len(set(stored))
    missing = set(acknowledged) - set(stored)
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged predictions are not in the store"
    assert len(stored) - len(acknowledged) <= cut_off


def test_a_scorer_killed_three_times_loses_and_repeats_no_acknowledged_prediction(
    pair: ScorerAndShipper, toy_records: list[dict[str, Any]]
) -> None:
    load = Load(pair.scorer, toy_records, REQUESTS)
    with pair.running():
        with load.running():
            for kill in range(1, KILLS + 1):
                until(partial(load.reached, kill * REQUESTS // (KILLS + 1)), 300, "the next answers")
                pair.scorer.kill()
                if kill == 2:
                    pair.shipper.kill()
                    pair.shipper.start()
                pair.scorer.start()
                pair.scorer.wait_ready()
        wait_until_stored(load.acknowledged, pair.stored)
    stored = pair.stored()
    log.info("%d acknowledged, %d cut off, %d stored", len(load.acknowledged), load.cut_off, len(stored))
    assert load.reached(REQUESTS) and set(load.refused) <= {503}  # listening, its model not loaded yet
    assert load.cut_off >= KILLS
    assert_exactly_once(load.acknowledged, stored, load.cut_off)


def test_a_graceful_stop_finishes_open_requests_and_the_last_pass_stores_them(
    pair: ScorerAndShipper, toy_records: list[dict[str, Any]]
) -> None:
    load = Load(pair.scorer, toy_records, 300)
    with pair.running(), load.running():
        until(lambda: load.reached(150), 60, "half of the answers")
        pair.scorer.process.terminate()
        assert pair.scorer.process.wait(20) == 0
        load.wanted = 0
    assert_exactly_once(load.acknowledged, pair.stored(), load.cut_off)
    assert list((pair.folder / "journal").glob("*.jsonl")) == []


def test_while_sqlite_is_locked_every_request_is_answered_and_the_backlog_drains_after(
    pair: ScorerAndShipper, toy_records: list[dict[str, Any]]
) -> None:
    with pair.running():
        first = Load(pair.scorer, toy_records, 100)
        with first.running():
            pass
        wait_until_stored(first.acknowledged, pair.stored)
        with closing(sqlite3.connect(pair.folder / "predictions.db", isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN IMMEDIATE")
            second = Load(pair.scorer, toy_records, 500)
            with second.running():
                pass
            about = until(pair.scorer.ready, 10, "the scorer stays ready")
            assert about["model_run_id"] == RUN_ID
            assert set(pair.stored()).isdisjoint(second.acknowledged)
            other.execute("ROLLBACK")
        wait_until_stored(second.acknowledged, pair.stored)
    assert not first.refused and not second.refused
    assert_exactly_once(first.acknowledged + second.acknowledged, pair.stored(), first.cut_off + second.cut_off)


def test_while_mongodb_is_down_every_request_is_answered_and_the_backlog_drains_after(
    tmp_path: Path, toy: Model, toy_records: list[dict[str, Any]]
) -> None:
    acknowledged: list[str] = []
    with servers.mongod(tmp_path / "mongodb").running() as mongod:
        pair = ScorerAndShipper(tmp_path / "data", toy, MONGODB_ADDRESS=mongod.address)

        def ask(count: int) -> None:
            load = Load(pair.scorer, toy_records, count)
            with load.running():
                pass
            assert not load.refused and not load.cut_off
            acknowledged.extend(load.acknowledged)

        with pair.running():
            ask(200)
            wait_until_stored(acknowledged, lambda: stored_in_mongodb(mongod.address))
            mongod.stop()
            ask(300)
            until(lambda: not pair.store_is_up(), 30, "the scorer reports that the store is down")
            assert pair.scorer.ready()
            mongod.start()
            wait_until_stored(acknowledged, lambda: stored_in_mongodb(mongod.address))
            ask(100)
        assert_exactly_once(acknowledged, stored_in_mongodb(mongod.address), 0)
