"""The pages in this process, with a real store and a stream that the test plays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from scorehouse.settings import Settings
from tests import templates
from web_service.offers.exchange import Exchange
from web_service.offers.sqlite_store import SqliteStore
from web_service.site.app import create_app

templates.share()

NOON = 1_795_262_400.0  # 2026-11-21 12:00 UTC
STREAMS = ("in", "out", "out-errors")
PAST = {
    "R_Claims_history": 0.2, "av_senior_year": 9.5, "policy_stability": 1.0, "product_stability": 1.0,
    "claims_per_policy": 0.5, "cost_per_claim": 250.0,
}  # fmt: skip
CUSTOMER = {"ID": "17", "made_up": True, "Date_birth": "1970-04-15", "Date_driving_licence": "1990-03-20", **PAST}
VEHICLE = {
    "Type_risk": "3", "Year_matriculation": "2018", "Power": "90", "Cylinder_capacity": "1600",
    "Value_vehicle": "17600", "Type_fuel": "D", "Area": "0", "Second_driver": "0", "Date_renewal": "2026-12-01",
}  # fmt: skip
NEW = {"Date_birth": "1985-03-20", "Date_driving_licence": "2004-07-01", **VEHICLE}
EXISTING = {"customer_id": "17", "Date_birth": "1970-04-15", **VEHICLE}


@dataclass
class Kinesis:
    """A stream of one shard each; `down` is raised by every call."""

    records: dict[str, list[bytes]] = field(default_factory=lambda: {name: [] for name in STREAMS})
    down: Exception | None = None
    throttle: int = 0  # entries of the next call that fail

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self._check()
        failed, self.throttle = self.throttle, 0
        self.records[StreamName] += [r["Data"] for r in Records[failed:]]
        failures = [{"ErrorCode": "ProvisionedThroughputExceededException"}] * failed
        return {"FailedRecordCount": failed, "Records": failures + [{}] * (len(Records) - failed)}

    def list_shards(self, StreamName: str) -> dict[str, Any]:  # noqa: N803
        self._check()
        return {"Shards": [{"ShardId": "shard-0"}]}

    def get_shard_iterator(self, StreamName: str, StartingSequenceNumber: str = "-1", **_: Any) -> dict[str, Any]:  # noqa: N803
        self._check()
        return {"ShardIterator": f"{StreamName}:{int(StartingSequenceNumber) + 1}"}

    def get_records(self, ShardIterator: str, Limit: int) -> dict[str, Any]:  # noqa: N803
        self._check()
        stream, _, place = ShardIterator.partition(":")
        found = self.records[stream][int(place) :]
        records = [{"Data": d, "SequenceNumber": str(int(place) + i)} for i, d in enumerate(found)]
        return {"Records": records, "NextShardIterator": f"{stream}:{int(place) + len(found)}"}

    def answer(self, premium: float, place: int = -1) -> None:
        id_ = orjson.loads(self.records["in"][place])["prediction_id"]
        self.records["out"].append(orjson.dumps({"premium": premium, "model_run_id": "r", "prediction_id": id_}))

    def _check(self) -> None:
        if self.down:
            raise self.down


@dataclass
class Time:
    now: float = NOON
    uptime: float = 1000.0

    def clock(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.uptime


@dataclass
class Pages:
    """A visitor's browser, and everything behind the pages."""

    browser: FlaskClient
    store: SqliteStore
    exchange: Exchange
    kinesis: Kinesis
    time: Time

    def send(self, path: str, typed: dict[str, str], **more: Any) -> TestResponse:
        """Open the form and send it, as a person does."""
        return self.browser.post(path, data={**typed, "token": self.token(path)}, **more)

    def token(self, path: str) -> str:
        found = re.search(r'name="token" value="([^"]+)"', self.browser.get(path).text)
        assert found
        return found[1]

    def other(self) -> Pages:
        """Another visitor's browser."""
        return Pages(self.browser.application.test_client(), self.store, self.exchange, self.kinesis, self.time)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_folder=tmp_path, use_case="insurance")


@pytest.fixture
def pages(settings: Settings) -> Iterator[Pages]:
    store, kinesis, time = SqliteStore(settings.web_service_folder / "customers.db"), Kinesis(), Time()
    store.add_customers([CUSTOMER])
    exchange = Exchange(store, kinesis, STREAMS, "premium", 7 * 86400.0, time.clock, lambda: 0.0)
    app = create_app(store, exchange, settings, b"k" * 32, time.clock, time.monotonic)
    yield Pages(app.test_client(), store, exchange, kinesis, time)
    store.close()
