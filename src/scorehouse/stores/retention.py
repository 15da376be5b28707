"""Removes predictions, outcomes and counts of rejected records once they are older than KEEP_PREDICTIONS_DAYS."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from scorehouse.stores.store import Document, Store

log = logging.getLogger(__name__)
EVERY_SECONDS = 3600.0
AT_ONCE = 1000  # predictions in one step, so that new ones never wait long
_TIMES = {"prediction": "created_at", "outcome": "outcome_at"}


class Retention:
    """Drops old journal lines that a restart reads again, and removes what has become too old from the store."""

    def __init__(self, days: int, clock: Callable[[], float]):
        """Keep what is younger than `days`, or everything if that is 0. `clock` returns Unix seconds."""
        self._days, self._clock = days, clock
        self._due = float("-inf")
        self._removed = 0

    def oldest(self) -> datetime | None:
        """Return the time (UTC) before which nothing is kept."""
        if not self._days:
            return None
        return datetime.fromtimestamp(self._clock(), UTC) - timedelta(days=self._days)

    def keeps(self, line: Document) -> bool:
        """Return whether a journal line is young enough to be stored."""
        oldest = self.oldest()
        if oldest is None:
            return True
        if line["kind"] == "rejected":
            return int(line["minute"]) >= oldest.timestamp() // 60
        return _time(line[_TIMES[line["kind"]]]) >= oldest

    def apply(self, store: Store) -> None:
        """Take one step, if one is due: each hour until nothing old is left. Raises StoreUnavailable."""
        oldest = self.oldest()
        if oldest is None or self._clock() < self._due:
            return
        removed = store.forget(oldest, AT_ONCE)
        self._removed += removed
        if removed == AT_ONCE:
            return
        if self._removed:
            log.info("removed %d predictions from before %s", self._removed, oldest.isoformat(timespec="seconds"))
        self._removed, self._due = 0, self._clock() + EVERY_SECONDS


def _time(said: str) -> datetime:
    time = datetime.fromisoformat(said)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
