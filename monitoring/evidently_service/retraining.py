"""Starts a training when the serving run drifts (RETRAIN_ON_DRIFT), at most once per cool-down."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

import requests

from scorehouse import metrics
from scorehouse.polling import poll_in_thread

log = logging.getLogger(__name__)
DEPLOYMENT = "model_tuning_and_uploading/model_tuning_and_uploading"
TAG = "drift"  # of the trainings that are started here: by it Prefect itself remembers the cool-down
POLL_SECONDS = 10.0


class Prefect:
    """Prefect's server at `address` (…/api), by its REST interface; `auth` is user:password, or empty."""

    def __init__(self, address: str, auth: str = "", timeout: float = 10.0):
        """Open no connection yet."""
        self._address, self._timeout = address.rstrip("/"), timeout
        self._session = requests.Session()
        if auth:
            user, _, password = auth.partition(":")
            self._session.auth = (user, password)

    def started_since(self, deployment: str, time: datetime) -> bool:
        """Say whether drift started a training since `time`. Raises requests.RequestException."""
        asked = {
            "deployments": {"id": {"any_": [self._id(deployment)]}},
            "flow_runs": {"tags": {"all_": [TAG]}, "expected_start_time": {"after_": time.isoformat()}},
            "limit": 1,
        }
        return bool(self._call("POST", "/flow_runs/filter", json=asked))

    def start(self, deployment: str, why: str) -> str:
        """Start a training now; return its flow run's id. Raises requests.RequestException."""
        asked = {"tags": [TAG], "state": {"type": "SCHEDULED", "message": why}}
        return str(self._call("POST", f"/deployments/{self._id(deployment)}/create_flow_run", json=asked)["id"])

    def _id(self, deployment: str) -> str:
        return str(self._call("GET", f"/deployments/name/{deployment}")["id"])

    def _call(self, method: str, path: str, **more: Any) -> Any:
        answer = self._session.request(method, self._address + path, timeout=self._timeout, **more)
        answer.raise_for_status()
        return answer.json()


def _now() -> datetime:
    return datetime.now(UTC)


class Retraining:
    """Starts a training when columns of the serving run drift for as long as the alert needs to fire."""

    def __init__(
        self,
        use_case: str,
        prefect: Prefect,
        cooldown: timedelta,
        drifting: Callable[[], tuple[str, ...]],
        now: Callable[[], datetime] = _now,
    ):
        """`drifting` returns the columns to notify about."""
        self._use_case = use_case
        self._prefect = prefect
        self._cooldown = cooldown
        self._drifting = drifting
        self._now = now
        self._started = datetime.min.replace(tzinfo=UTC)

    def poll(self) -> str | None:
        """Start a training if one is due; return its id. Raises requests.RequestException."""
        columns = self._drifting()
        since = self._now() - self._cooldown
        if not columns or self._started > since:
            return None
        if self._prefect.started_since(DEPLOYMENT, since):  # before this process began
            return None
        started = self._prefect.start(DEPLOYMENT, f"drift in {', '.join(columns)}")
        self._started = self._now()
        metrics.RETRAININGS.labels(self._use_case).inc()
        log.warning("drift in %s: started training %s", ", ".join(columns), started)
        return started

    def follow(self, stop: Event) -> Thread:
        """Poll every few seconds in a thread until `stop` is set."""
        return poll_in_thread(self._step, "retraining on drift", stop, POLL_SECONDS)

    def _step(self) -> None:
        try:
            self.poll()
        except requests.RequestException as error:
            log.warning("no training could be started for drift because Prefect cannot be reached: %s", error)
