"""Removes what is older than KEEP_PREDICTIONS_DAYS, and outcomes that have waited too long for their prediction."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from scorehouse import metrics
from scorehouse.stores.store import Document, Store

log = logging.getLogger(__name__)
EVERY_SECONDS = 3600.0
DROP_SECONDS = 60.0  # between two looks at the waiting outcomes
AT_ONCE = 1000  # predictions in one step, so that new ones never wait long
MOST_WAITING = 100_000  # outcomes of one sender that may wait for their prediction
LONGEST_GAP = timedelta(days=1)  # between two looks at the clock, after which it may have jumped
MOST_REMOVED = 0.5  # the share that a step may remove after such a gap
_TIMES = {"prediction": "created_at", "outcome": "outcome_at"}


class Retention:
    """Drops old journal lines that a restart reads again, and removes what has become too old from the store.

    A clock that jumped must not remove predictions. If more than a day has passed since the last step (the first time:
    since the newest prediction), nothing is removed while that would be more than half of what is stored.
    """

    def __init__(self, days: int, clock: Callable[[], float], waiting_days: int = 30, trust_clock: bool = False):
        """Keep what is younger than `days`, or everything if that is 0. `clock` returns Unix seconds.

        An outcome waits `waiting_days` for its prediction. With `trust_clock`, a jump of the clock is believed.
        """
        self._days, self._clock = days, clock
        self._waiting = timedelta(days=waiting_days)
        self._trust_clock = trust_clock
        self._looked: float | None = None  # when the clock was last judged
        self._believed = False
        self._oldest: datetime | None = None  # before which nothing is kept
        self._forgetting = False
        self._removed = 0
        self._dropped = float("-inf")  # when waiting outcomes were last dropped

    def look(self, store: Store) -> None:
        """Judge the clock once an hour. Raises StoreUnavailable."""
        now = self._clock()
        if self._looked is not None and 0 <= now - self._looked < EVERY_SECONDS:  # less than 0: it was set back
            return
        believed = self._believes(store, now)
        if believed is None:
            return
        self._looked, self._believed = now, believed
        metrics.RETENTION_HELD.set(not believed)
        time = datetime.fromtimestamp(now, UTC)
        self._oldest = time - timedelta(days=self._days) if self._days and believed else None
        if believed:
            store.set_retained_at(now)
            self._forgetting = bool(self._days)

    def keeps(self, line: Document) -> bool:
        """Return whether a journal line is young enough to be stored."""
        if self._oldest is None:
            return True
        if line["kind"] == "rejected":
            return int(line["minute"]) >= self._oldest.timestamp() // 60
        return _time(line[_TIMES[line["kind"]]]) >= self._oldest

    def apply(self, store: Store) -> datetime | None:
        """Take one step, if one is due: each hour until nothing old is left.

        Return the time before which everything was removed, where a round has ended. Raises StoreUnavailable.
        """
        self.look(store)
        self._drop_waiting(store)
        if self._oldest is None or not self._forgetting:
            return None
        removed = store.forget(self._oldest, AT_ONCE)
        self._removed += removed
        if removed == AT_ONCE:
            return None
        if self._removed:
            log.info("removed %d predictions from before %s", self._removed, self._oldest.isoformat(timespec="seconds"))
        self._removed, self._forgetting = 0, False
        return self._oldest

    def _believes(self, store: Store, now: float) -> bool | None:
        """Return whether the clock is plausible; None if the store is empty, so that nothing can be said."""
        last = store.retained_at()
        gap = LONGEST_GAP.total_seconds()
        if self._trust_clock or (last is not None and now - last <= gap):
            return True
        kept = timedelta(days=self._days) if self._days else self._waiting
        before = datetime.fromtimestamp(now, UTC) - kept
        ages = store.ages(before)
        if ages.newest is None:
            return None
        if ages.old <= MOST_REMOVED * ages.records:
            return True
        if now - ages.newest.timestamp() <= gap and (last is None or not self._days):
            return True
        log.error(
            "nothing is removed by age: this machine's clock says %s, the newest prediction is from %s, and %d of %d "
            "predictions would be lost. Check the clock; if it is right, set TRUST_CLOCK=True and restart the shipper",
            datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
            ages.newest.isoformat(timespec="seconds"), ages.old, ages.records,
        )  # fmt: skip
        return False

    def _drop_waiting(self, store: Store) -> None:
        seconds = self._clock()
        if 0 <= seconds - self._dropped < DROP_SECONDS:
            return
        self._dropped = seconds
        now = datetime.fromtimestamp(seconds, UTC)
        oldest = now - self._waiting if self._believed else datetime.min.replace(tzinfo=UTC)
        if dropped := store.drop_waiting(oldest, MOST_WAITING):
            metrics.WAITING_DROPPED.inc(dropped)
            log.warning(
                "dropped %d outcomes whose prediction never came: they waited for more than %d days, or their sender "
                "had more than %d",
                dropped, self._waiting.days, MOST_WAITING,
            )  # fmt: skip


def _time(said: str) -> datetime:
    time = datetime.fromisoformat(said)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
