"""Starts a training when the serving run drifts (RETRAIN_ON_DRIFT), at most once per cool-down."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import requests

from scorehouse import metrics
from scorehouse.polling import poll_in_thread
from scorehouse.prefect import Prefect
from scorehouse.settings import Settings

log = logging.getLogger(__name__)
DEPLOYMENT = "model_tuning_and_uploading/model_tuning_and_uploading"
TAG = "drift"  # of the trainings that are started here: by it Prefect itself remembers the cool-down
POLL_SECONDS = 10.0


def _now() -> datetime:
    return datetime.now(UTC)


def warn_of_same_models(settings: Settings) -> None:
    """Say so at start if drift starts trainings that may learn nothing new. A table that others refresh is fine."""
    if settings.retrain_on_drift and not settings.train_on_outcomes:
        log.warning(
            "RETRAIN_ON_DRIFT starts trainings on DATA alone, because TRAIN_ON_OUTCOMES is false: unless the table is "
            "refreshed, each of them gives the same model again. Set TRAIN_ON_OUTCOMES=true to learn from outcomes"
        )


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
        if self._prefect.was_started(DEPLOYMENT, TAG, since):  # before this process began
            return None
        started = self._prefect.start(DEPLOYMENT, TAG, f"drift in {', '.join(columns)}")
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
