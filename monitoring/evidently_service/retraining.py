"""Starts a training when the run that serves drifts (RETRAIN_ON_DRIFT), at most once per cool-down."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import requests

from scorehouse import metrics
from scorehouse.prefect import Prefect

log = logging.getLogger(__name__)
DEPLOYMENT = "model_tuning_and_uploading/model_tuning_and_uploading"
TAG = "drift"  # of the trainings that are started here: by it Prefect itself remembers the cool-down
EVERY_SECONDS = 10.0


def _now() -> datetime:
    return datetime.now(UTC)


class Retraining:
    """Asks, every few seconds, which columns of the run that serves drift for long enough that an alert fires."""

    def __init__(
        self,
        use_case: str,
        prefect: Prefect,
        cooldown: timedelta,
        drifting: Callable[[], tuple[str, ...]],
        now: Callable[[], datetime] = _now,
    ):
        """`drifting` returns the columns to notify about."""
        self._use_case, self._prefect, self._cooldown = use_case, prefect, cooldown
        self._drifting, self._now = drifting, now
        self._started = datetime.min.replace(tzinfo=UTC)

    def poll(self) -> str | None:
        """Start a training if one is due; return its id. Raises requests.RequestException."""
        columns, since = self._drifting(), self._now() - self._cooldown
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
        """Look every few seconds in a thread of its own until `stop` is set."""

        def loop() -> None:
            while not stop.wait(EVERY_SECONDS):
                try:
                    self.poll()
                except requests.RequestException as error:
                    log.warning("no training could be started for drift: Prefect says %s", error)
                except Exception:  # what nobody foresaw must not end the looking for good
                    log.exception("looking whether to train again failed")

        thread = Thread(target=loop, name="retraining", daemon=True)
        thread.start()
        return thread
