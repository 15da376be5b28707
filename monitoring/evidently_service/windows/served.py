"""Follows which run is to serve: whether it can be watched, and, in the history, what nobody wrote there."""

from __future__ import annotations

import logging
from threading import Event, Thread

from monitoring.evidently_service.windows.watch import Watch
from scorehouse.bundles.cache import BundleCache
from scorehouse.errors import BundleError, CacheUnavailable, RegistryUnavailable, RunNotFound
from scorehouse.polling import poll_in_thread
from scorehouse.registry.client import SERVING, Version
from scorehouse.registry.history import History
from scorehouse.usecase import UseCase

log = logging.getLogger(__name__)
PATIENT_LOOKS = 3  # a deployment moves the alias first, and writes down what it did then


class Served:
    """What /readyz says: the run that is to serve, once its bundle was tried; or why it cannot be watched."""

    def __init__(self, use_case: UseCase, cache: BundleCache, history: History):
        """Ask nothing yet: `look` does."""
        self._use_case, self._cache, self._history = use_case, cache, history
        self._tried: Version | None = None
        self._unwritten: tuple[Version, int] | None = None
        self._written: Version | None = None
        self.run_id: str | None = None
        self.refused: str | None = None

    def poll(self) -> None:
        """Ask once which run is to serve, and try whether it can be watched."""
        try:
            version = self._cache.ask(self._use_case.name, SERVING)
            self._write_down(version)
            if version != self._tried:
                self._try(version)
        except RegistryUnavailable as error:
            log.debug("%s", error)  # doors tell of it
        except (BundleError, CacheUnavailable, RunNotFound) as error:
            if self.refused != str(error):
                log.warning("the run that is to serve is not watched: %s", error)
            self.refused = str(error)

    def _try(self, version: Version) -> None:
        try:
            Watch(self._cache.load(version), self._use_case)
        except BundleError:
            self._tried = version  # refused for good: not fetched again and again
            raise
        self._tried, self.run_id, self.refused = version, version.run_id, None

    def follow(self, stop: Event) -> Thread:
        """Look now and every two seconds in a thread of its own until `stop` is set."""
        return poll_in_thread(self.poll, "the run that is to serve", stop)

    def _write_down(self, version: Version) -> None:
        """Note a change that was made in MLflow itself, once it is clear that nobody else writes it down."""
        if version == self._written:
            return
        seen, looks = self._unwritten or (version, 0)
        self._unwritten = (version, looks + 1 if seen == version else 1)
        if self._unwritten[1] < PATIENT_LOOKS:
            return
        changes = self._history.changes()
        if not changes or changes[-1].version != version:
            self._history.note(version, "MLflow", "its alias was moved there")
        self._written, self._unwritten = version, None
