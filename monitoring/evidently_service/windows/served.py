"""Follows which run is to serve: tries whether it can be watched, and records changes made in MLflow itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Thread

from monitoring.evidently_service.windows.watch import Watch
from scorehouse.bundles.cache import BundleCache
from scorehouse.bundles.refusal import Refusal
from scorehouse.errors import BundleError, CacheUnavailable, RegistryUnavailable, RunNotFound
from scorehouse.polling import poll_in_thread
from scorehouse.registry.client import SERVING, Version
from scorehouse.registry.history import History
from scorehouse.usecase import UseCase

log = logging.getLogger(__name__)
PATIENT_POLLS = 3  # a deployment moves the alias first and then writes into the history


class Served:
    """For /readyz: the run that is to serve, once its bundle was loaded, or why it cannot be watched."""

    def __init__(
        self, use_case: UseCase, cache: BundleCache, history: History, clock: Callable[[], float] = time.monotonic
    ):
        """Ask nothing yet. `clock` returns seconds that never go back."""
        self._use_case = use_case
        self._cache = cache
        self._history = history
        self._clock = clock
        self._watchable: Version | None = None
        self._refusal: Refusal | None = None
        self._unrecorded: tuple[Version, int] | None = None
        self._recorded: Version | None = None
        self.run_id: str | None = None
        self.refused: str | None = None

    def poll(self) -> None:
        """Ask the registry once which run is to serve, and try whether it can be watched."""
        try:
            version = self._cache.ask(self._use_case.name, SERVING)
            self._record_change(version)
            if version != self._watchable or self.refused:
                self._try(version)
        except RegistryUnavailable as error:
            log.debug("%s", error)  # the doors report it
        except (BundleError, CacheUnavailable, RunNotFound) as error:
            if self.refused != str(error):
                log.warning("the run to serve cannot be monitored: %s", error)
            self.refused = str(error)

    def _try(self, version: Version) -> None:
        if self._refusal and self._refusal.holds(version, self._clock()):  # do not fetch it again yet
            raise BundleError(self._refusal.reason)
        try:
            Watch(self._cache.load(version), self._use_case)
        except BundleError as error:
            self._refusal = Refusal.of(version, str(error), self._clock(), self._refusal)
            raise
        self._watchable = version
        self._refusal = None
        self.run_id = version.run_id
        self.refused = None

    def follow(self, stop: Event) -> Thread:
        """Poll now and every two seconds in a thread until `stop` is set."""
        return poll_in_thread(self.poll, "following the registry", stop)

    def _record_change(self, version: Version) -> None:
        """Add a change that was made in MLflow itself to the history, once it is clear that nobody else does."""
        if version == self._recorded:
            return
        seen, polls = self._unrecorded or (version, 0)
        self._unrecorded = (version, polls + 1 if seen == version else 1)
        if self._unrecorded[1] < PATIENT_POLLS:
            return
        changes = self._history.changes()
        if not changes or changes[-1].version != version:
            self._history.note(version, "MLflow", "alias moved in MLflow")
        self._recorded = version
        self._unrecorded = None
