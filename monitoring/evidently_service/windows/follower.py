"""Follows the prediction log: adds each record to its run's window, and each outcome to its run's quality."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from threading import Event
from time import monotonic, perf_counter

from monitoring.evidently_service.drift.verdict import DEFAULT_RULE, DriftRule
from monitoring.evidently_service.windows.cursor import Cursor, MonitorFolder
from monitoring.evidently_service.windows.exports import Exports
from monitoring.evidently_service.windows.rejections import MINUTES
from monitoring.evidently_service.windows.watch import Watch
from scorehouse import metrics
from scorehouse.bundles.cache import BundleCache
from scorehouse.bundles.refusal import Refusal
from scorehouse.errors import BundleError, CacheUnavailable, RegistryUnavailable, RunNotFound, ScorehouseError
from scorehouse.polling import poll_forever
from scorehouse.stores.store import Document, Identity, Store
from scorehouse.usecase import UseCase

log = logging.getLogger(__name__)
POLL_SECONDS = 1.0
LONGEST_WAIT = 30.0  # seconds between two attempts while it fails
BATCH = 2000  # documents per read
MOST_AHEAD = 300.0  # seconds by which a door's clock may be ahead of the monitor's
FORGOTTEN_AFTER = 86_400.0  # seconds without traffic, after which a run is no longer shown


class Follower:
    """Reads only the store, so that the doors never wait for it. One thread calls it."""

    def __init__(
        self,
        use_case: UseCase,
        store: Store,
        cache: BundleCache,
        folder: MonitorFolder,
        clock: Callable[[], float],
        rule: DriftRule = DEFAULT_RULE,
        steady_clock: Callable[[], float] = monotonic,
    ):
        """Read nothing yet. `clock` returns Unix seconds, and `steady_clock` seconds that never go back."""
        self._use_case = use_case
        self._store = store
        self._cache = cache
        self._folder = folder
        self._clock = clock
        self._rule = rule
        self._steady_clock = steady_clock
        self._exports = Exports(use_case.name)
        self._cursor: Cursor | None = None
        self._watches: dict[str, Watch] = {}
        self._refusals: dict[str, Refusal] = {}  # of the unwatched runs
        self.unwatched: dict[str, tuple[str, float]] = {}  # run: why it is not watched, and when its last record came
        self.problem: str | None = "nothing has been read yet"

    @property
    def watches(self) -> list[Watch]:
        """The watched runs; the one with the newest traffic is first."""
        return sorted(self._watches.values(), key=lambda watch: watch.traffic_at, reverse=True)

    def run(self, stop: Event) -> None:
        """Poll until `stop` is set: at once while there is more to read, else every second; less often while it fails.

        Nothing is lost by a failure: what was not read is read later.
        """
        poll_forever(self._step, "reading the prediction log", stop, POLL_SECONDS, LONGEST_WAIT)

    def _step(self) -> bool:
        """Poll once, and keep the problem for the page and /readyz. Return whether there is more to read."""
        try:
            documents = self.poll()
        except Exception as error:
            self.problem = str(error) if isinstance(error, ScorehouseError) else repr(error)
            raise
        else:
            self.problem = None
        finally:
            metrics.MONITOR_UP.labels(self._use_case.name).set(self.problem is None)
        return documents == BATCH

    def poll(self) -> int:
        """Read what is new, evaluate the windows that are due, export and save; return how many documents were read.

        Of predictions and outcomes the larger number is returned.

        Raises:
            StoreUnavailable, RegistryUnavailable, CacheUnavailable: nothing is lost; try again later.
        """
        store = self._store.identity()
        if self._cursor is None or not self._cursor.is_of(store):
            self._cursor = self._start(store)
        before = self._cursor
        predictions = self._store.predictions_after(self._use_case.name, before.seq, BATCH)
        changed = self._distribute(predictions, "created_at", Watch.take)
        outcomes = self._store.outcomes_after(self._use_case.name, before.outcome_seq, BATCH)
        changed |= self._distribute(outcomes, "outcome_at", Watch.take_outcomes)
        self._cursor = before.after(predictions, outcomes)
        metrics.FOLLOWED.labels(self._use_case.name).inc(len(predictions))
        self._evaluate()
        for run_id in changed:
            self._folder.save_run(run_id, self._watches[run_id].to_json())
        if self._cursor != before:
            self._folder.save(self._cursor)
        self._count_rejected()
        self._forget_old()
        self._exports.publish(self.watches, self.unwatched, self._store.waiting_outcomes())
        return max(len(predictions), len(outcomes))

    def _start(self, store: Identity) -> Cursor:
        """Continue where the last process stopped, or from the beginning of a store that was replaced since."""
        cursor = self._folder.cursor()
        if not cursor.is_of(store):
            log.warning("the prediction store was replaced, or set back to an earlier state: reading it from the start")
            self._folder.clear()
            self._watches.clear()
        cursor = cursor.of(store)
        self._folder.save(cursor)
        now = self._clock()
        for run_id in self._folder.run_ids():
            stored = self._folder.run(run_id)
            if stored and now - stored["traffic_at"] < FORGOTTEN_AFTER:
                self._watch(run_id, stored["traffic_at"])
        return cursor

    def _distribute(
        self, documents: Iterable[Document], time: str, take: Callable[[Watch, list[Document]], None]
    ) -> set[str]:
        """Give each watched run its documents; return the runs that received some."""
        by_run: dict[str, list[Document]] = defaultdict(list)
        now = datetime.fromtimestamp(self._clock(), UTC)
        for document in documents:
            by_run[document["model_run_id"]].append(_not_ahead(document, time, now))
        changed = set()
        for run_id, of_run in by_run.items():
            watch = self._watch(run_id, datetime.fromisoformat(of_run[-1][time]).timestamp())
            if watch is not None:
                take(watch, of_run)
                changed.add(run_id)
        return changed

    def _watch(self, run_id: str, at: float) -> Watch | None:
        """Return the run's watch, created or restored if needed; None, logged once, for a run that has none."""
        if run_id in self._watches:
            return self._watches[run_id]
        refusal = self._refusals.get(run_id)
        if refusal:
            self.unwatched[run_id] = (refusal.reason, at)
            if refusal.holds(run_id, self._steady_clock()):
                return None
        try:
            version = self._cache.resolve(self._use_case.name, run_id)
            watch = Watch(self._cache.load(version), self._use_case, self._rule)
        except (RunNotFound, BundleError) as error:
            self._refuse(run_id, str(error), at)
            return None
        except (RegistryUnavailable, CacheUnavailable):
            if not refusal:
                raise
            self._refuse(run_id, refusal.reason, at)  # a run without a window holds the others up no longer
            return None
        self._refusals.pop(run_id, None)
        self.unwatched.pop(run_id, None)
        stored = self._folder.run(run_id)
        if stored:
            watch.restore(stored)
        self._watches[run_id] = watch
        log.info("monitoring run %s", run_id)
        return watch

    def _refuse(self, run_id: str, reason: str, at: float) -> None:
        """Leave a run without a watch until it is tried again; log a reason that is new."""
        before = self._refusals.get(run_id)
        if before is None or before.reason != reason:
            log.warning("run %s is serving but not monitored: %s", run_id, reason)
        self._refusals[run_id] = Refusal.of(run_id, reason, self._steady_clock(), before)
        self.unwatched[run_id] = (reason, at)

    def _evaluate(self) -> None:
        for watch in self._watches.values():
            if watch.due:
                start = perf_counter()
                watch.evaluate()
                metrics.EVALUATION_SECONDS.labels(self._use_case.name).observe(perf_counter() - start)

    def _count_rejected(self) -> None:
        now = self._clock()
        by_run: dict[str, list[Document]] = defaultdict(list)
        for document in self._store.rejected_since(self._use_case.name, int(now // 60) - MINUTES + 1):
            by_run[document["model_run_id"]].append(document)
        for run_id in by_run:
            self._watch(run_id, now)
        for run_id, watch in self._watches.items():
            watch.recent = watch.minutes.recent(by_run[run_id], now)
            if watch.recent.rejected:  # rejected records are traffic too
                watch.traffic_at = max(watch.traffic_at, now - MINUTES * 60)

    def _forget_old(self) -> None:
        oldest = self._clock() - FORGOTTEN_AFTER
        self._watches = {run_id: w for run_id, w in self._watches.items() if w.traffic_at > oldest}
        self.unwatched = {run_id: why for run_id, why in self.unwatched.items() if why[1] > oldest}
        self._refusals = {run_id: one for run_id, one in self._refusals.items() if run_id in self.unwatched}


def _not_ahead(document: Document, time: str, now: datetime) -> Document:
    """The document, at `now` if its door's clock is far ahead: everything before it would leave the window."""
    if datetime.fromisoformat(document[time]) - now < timedelta(seconds=MOST_AHEAD):
        return document
    return {**document, time: now.isoformat()}
