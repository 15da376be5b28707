"""How many predictions each client got, as a metric with a bounded number of names."""

from __future__ import annotations

from threading import Lock

from prometheus_client import Counter

from scorehouse import metrics

MOST_NAMES = 50  # the first that ask after the start
OTHER = "other"


class CallerCounts:
    """Counts the predictions of one door by client; those of the names beyond the first 50 under `other`."""

    def __init__(self, use_case: str, door: str):
        """Count for one door."""
        self._labels = (use_case, door)
        self._lock = Lock()
        self._counters = {OTHER: metrics.CALLER_PREDICTIONS.labels(use_case, door, OTHER)}

    def count(self, caller: str, predictions: int) -> None:
        """Add `predictions` to those of `caller`."""
        counter = self._counters.get(caller) or self._counter_of(caller)
        counter.inc(predictions)

    def _counter_of(self, caller: str) -> Counter:
        with self._lock:
            if len(self._counters) > MOST_NAMES:
                return self._counters[OTHER]
            return self._counters.setdefault(caller, metrics.CALLER_PREDICTIONS.labels(*self._labels, caller))
