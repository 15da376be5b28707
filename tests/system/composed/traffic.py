"""Traffic on both doors while things die: it remembers every prediction and record that was acknowledged."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Any

import boto3
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pymongo.errors import PyMongoError

from tests.system.composed.project import EMULATOR, HOST, RECORD, key, until

BETWEEN_SECONDS = 0.05  # two requests, or stream records, of one client
AT_ONCE = 5  # records of one client in a put: the emulator takes few puts a second, of many records each


def kinesis() -> Any:
    """Return a client of the emulator that gives up soon."""
    config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
    return boto3.client(
        "kinesis", endpoint_url=EMULATOR, region_name="us-east-1", config=config,
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip


class Traffic:
    """What was acknowledged by each door, and how often each refused or did not answer."""

    def __init__(self, clients: int = 1) -> None:
        """So many clients, each of which sends at most twenty a second to each door; the stream's share their puts."""
        self.answered: dict[str, str] = {}  # the run that answered, by prediction id
        self.put: list[str] = []
        self.refused = {"http": 0, "stream": 0}
        self.at_once = AT_ONCE * clients
        self._clients, self._stop, self._lock = clients, Event(), Lock()

    @contextmanager
    def running(self) -> Iterator[Traffic]:
        threads = [Thread(target=self._put), *(Thread(target=self._ask) for _ in range(self._clients))]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _ask(self) -> None:
        session = requests.Session()
        for _ in self._paced(BETWEEN_SECONDS):
            id_ = f"http-{uuid.uuid4().hex}"
            try:
                answer = session.post(f"http://{HOST}:9696/predict", json={**RECORD, "prediction_id": id_}, timeout=3)
                answer.raise_for_status()
                self.answered[id_] = answer.json()["model_run_id"]
            except requests.RequestException:
                self._refuse("http")

    def _put(self) -> None:
        client = kinesis()
        for _ in self._paced(AT_ONCE * BETWEEN_SECONDS):
            ids = [f"stream-{uuid.uuid4().hex}" for _ in range(self.at_once)]
            records = [
                {"PartitionKey": id_, "Data": json.dumps({**RECORD, "prediction_id": id_}).encode()} for id_ in ids
            ]
            try:
                told = client.put_records(StreamName="predictions", Records=records)["Records"]
                self.put += [id_ for id_, one in zip(ids, told, strict=True) if "SequenceNumber" in one]
            except (BotoCoreError, ClientError):
                self._refuse("stream")

    def _paced(self, seconds: float) -> Iterator[None]:
        """A turn each so many seconds, whatever one takes; of turns that were missed one is made up for."""
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            yield
            due = max(due + seconds, time.monotonic() - seconds)

    def _refuse(self, door: str) -> None:
        with self._lock:
            self.refused[door] += 1


def stored(log: Any, ids: list[str]) -> dict[str, str]:
    """Return which of these predictions are in the store, and the run that made each."""
    parts = [ids[start : start + 200] for start in range(0, len(ids), 200)]
    shown = {"prediction_id": True, "model_run_id": True}
    found = (p for part in parts for p in log.find({"$or": [{"_id": key(id_)} for id_ in part]}, shown))
    return {p["prediction_id"]: p["model_run_id"] for p in found}


def every_one_is_stored(log: Any, ids: list[str]) -> dict[str, str]:
    """Wait until all of these predictions are in the store; return the run that made each."""

    def all_of_them() -> dict[str, str] | None:
        try:
            found = stored(log, ids)
        except PyMongoError as error:
            raise OSError(str(error)) from error
        return found if len(found) == len(set(ids)) else None

    whole: dict[str, str] = until("everything acknowledged is stored", all_of_them, 120)
    return whole
