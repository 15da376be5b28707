"""Limits how many forms a client may send: a bucket of tokens for each client, refilled steadily (docs/adr/0011)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

MOST_CLIENTS = 10_000  # the one that has been quiet for longest is forgotten first


class RateLimit:
    """Any thread may call it."""

    def __init__(self, per_minute: int, clock: Callable[[], float]):
        """Allow `per_minute` forms at once, and as many in each minute after that; `clock` never goes back."""
        self._most = float(per_minute)
        self._per_second = per_minute / 60
        self._clock = clock
        self._buckets = OrderedDict[str, tuple[float, float]]()  # client -> tokens, and when they were counted
        self._lock = Lock()

    def take(self, client: str) -> float:
        """Take a token of `client` and return 0, or return the seconds until there is one."""
        now = self._clock()
        with self._lock:
            tokens, counted_at = self._buckets.pop(client, (self._most, now))
            tokens = min(self._most, tokens + (now - counted_at) * self._per_second)
            allowed = tokens >= 1
            self._buckets[client] = (tokens - allowed, now)
            if len(self._buckets) > MOST_CLIENTS:
                self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self._per_second
