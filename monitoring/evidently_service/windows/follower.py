"""Follows the prediction log: each new record to its run's window, each outcome to its run's quality."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from threading import Event
from time import perf_counter

from monitoring.evidently_service.drift.verdict import DEFAULT_RULE, DriftRule
from monitoring.evidently_service.windows.cursor import Cursor, MonitorFolder
from monitoring.evidently_service.windows.exports import Exports
from monitoring.evidently_service.windows.rejections import MINUTES
from monitoring.evidently_service.windows.watch import Watch
from scorehouse import metrics
from scorehouse.bundles.cache import BundleCache
from scorehouse.errors import BundleError, CacheUnavailable, RegistryUnavailable, RunNotFound, StoreUnavailable
from scorehouse.stores.store import Document, Store
from scorehouse.usecase import UseCase

log = logging.getLogger(__name__)
EVERY_SECONDS, LONGEST_WAIT = 1.0, 30.0
BATCH = 2000  # documents a read
FORGOTTEN_AFTER = 86_400.0  # seconds without traffic, after which a run is shown no longer


class Follower:
    """Reads the store and nothing else of the doors: they never wait for it. One thread calls it."""

    def __init__(
        self,
        use_case: UseCase,
        store: Store,
        cache: BundleCache,
        folder: MonitorFolder,
        clock: Callable[[], float],
        rule: DriftRule = DEFAULT_RULE,
    ):
        """Read nothing yet."""
        self._use_case, self._store, self._cache, self._folder = use_case, store, cache, folder
        self._clock, self._rule = clock, rule
        self._exports = Exports(use_case.name)
        self._cursor: Cursor | None = None
        self._watches: dict[str, Watch] = {}
        self.unwatched: dict[str, tuple[str, float]] = {}  # run -> why not, and when its last record came
        self.problem: str | None = "nothing was read yet"

    @property
    def watches(self) -> list[Watch]:
        """The runs under watch, the one with the newest traffic first."""
        return sorted(self._watches.values(), key=lambda watch: watch.traffic_at, reverse=True)

    def run(self, stop: Event) -> None:
        """Poll until `stop` is set: at once while there is more to read, else every second; longer while it fails."""
        wait = 0.0
        while not stop.wait(wait):
            try:
                wait = 0.0 if self.poll() == BATCH else EVERY_SECONDS
                self.problem = None
            except (StoreUnavailable, RegistryUnavailable, CacheUnavailable) as error:
                wait = min(max(wait, EVERY_SECONDS) * 2, LONGEST_WAIT)
                if self.problem != str(error):
                    log.warning("%s; nothing is lost, it is read later", error)
                self.problem = str(error)
            metrics.MONITOR_UP.labels(self._use_case.name).set(self.problem is None)

    def poll(self) -> int:
        """Read once what is new, evaluate what is due, export and save; return how many documents were read at most.

        Raises:
            StoreUnavailable, RegistryUnavailable, CacheUnavailable: nothing is lost; try again later.
        """
        before = self._cursor = self._cursor or self._start()
        predictions = self._store.predictions_after(self._use_case.name, before.seq, BATCH)
        touched = self._hand_out(predictions, "created_at", Watch.take)
        outcomes = self._store.outcomes_after(self._use_case.name, before.outcome_seq, BATCH)
        touched |= self._hand_out(outcomes, "outcome_at", Watch.take_outcomes)
        self._cursor = Cursor(
            predictions[-1]["seq"] if predictions else before.seq,
            outcomes[-1]["outcome_seq"] if outcomes else before.outcome_seq,
        )
        metrics.FOLLOWED.labels(self._use_case.name).inc(len(predictions))
        self._evaluate()
        for run_id in touched:
            self._folder.save_run(run_id, self._watches[run_id].to_json())
        if self._cursor != before:
            self._folder.save(self._cursor)
        self._count_rejected()
        self._forget_old()
        self._exports.publish(self.watches, self.unwatched, self._store.waiting_outcomes())
        return max(len(predictions), len(outcomes))

    def _start(self) -> Cursor:
        """Continue where the last process stopped; begin anew where the store no longer is the one that was read."""
        cursor = self._folder.cursor()
        if cursor.seq and not self._store.predictions_after(self._use_case.name, cursor.seq - 1, 1):
            log.warning("the store lacks what was read last: it is another one, and is read from its beginning")
            self._folder.clear()
            cursor = Cursor()
        now = self._clock()
        for run_id in self._folder.run_ids():
            stored = self._folder.run(run_id)
            if stored and now - stored["traffic_at"] < FORGOTTEN_AFTER:
                self._watch(run_id, stored["traffic_at"])
        return cursor

    def _hand_out(
        self, documents: Iterable[Document], time: str, take: Callable[[Watch, list[Document]], None]
    ) -> set[str]:
        """Give each run its documents; return the runs under watch that had some."""
        by_run: dict[str, list[Document]] = defaultdict(list)
        for document in documents:
            by_run[document["model_run_id"]].append(document)
        touched = set()
        for run_id, of_run in by_run.items():
            watch = self._watch(run_id, datetime.fromisoformat(of_run[-1][time]).timestamp())
            if watch is not None:
                take(watch, of_run)
                touched.add(run_id)
        return touched

    def _watch(self, run_id: str, at: float) -> Watch | None:
        """Return the run's watch, made or continued where needed; None, told once, for one that cannot have any."""
        if run_id in self._watches:
            return self._watches[run_id]
        if run_id in self.unwatched:
            self.unwatched[run_id] = (self.unwatched[run_id][0], at)
            return None
        try:
            version = self._cache.resolve(self._use_case.name, run_id)
            watch = Watch(self._cache.load(version), self._use_case, self._rule)
        except (RunNotFound, BundleError) as error:
            log.warning("run %s is not watched: %s", run_id, error)
            self.unwatched[run_id] = (str(error), at)
            return None
        stored = self._folder.run(run_id)
        if stored:
            watch.restore(stored)
        self._watches[run_id] = watch
        log.info("watching run %s", run_id)
        return watch

    def _evaluate(self) -> None:
        for watch in self._watches.values():
            if watch.due:
                began = perf_counter()
                watch.evaluate()
                metrics.EVALUATION_SECONDS.labels(self._use_case.name).observe(perf_counter() - began)

    def _count_rejected(self) -> None:
        now = self._clock()
        by_run: dict[str, list[Document]] = defaultdict(list)
        for document in self._store.rejected_since(self._use_case.name, int(now // 60) - MINUTES + 1):
            by_run[document["model_run_id"]].append(document)
        for run_id in by_run:
            self._watch(run_id, now)
        for run_id, watch in self._watches.items():
            watch.recent = watch.minutes.recent(by_run[run_id], now)
            if watch.recent.rejected:  # rejected records are traffic, too
                watch.traffic_at = max(watch.traffic_at, now - MINUTES * 60)

    def _forget_old(self) -> None:
        oldest = self._clock() - FORGOTTEN_AFTER
        self._watches = {run_id: w for run_id, w in self._watches.items() if w.traffic_at > oldest}
        self.unwatched = {run_id: why for run_id, why in self.unwatched.items() if why[1] > oldest}
