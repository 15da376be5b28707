"""Limits what one client may do: a bucket of tokens for each client, refilled steadily (docs/adr/0011)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

MOST_CLIENTS = 10_000  # the one that has been quiet for longest is forgotten first


class RateLimit:
    """Any thread may call it."""

    def __init__(self, per_second: float, at_once: float, clock: Callable[[], float]):
        """Allow each client `at_once` tokens at first, and `per_second` after that; `clock` never goes back."""
        self._most = float(at_once)
        self._per_second = per_second
        self._clock = clock
        self._buckets = OrderedDict[str, tuple[float, float]]()  # client -> tokens, and when they were counted
        self._refused = OrderedDict[str, float]()  # client -> when what was refused last may be tried again
        self._lock = Lock()

    def take(self, client: str, count: int = 1) -> float:
        """Take `count` tokens of `client` and return 0, or take none and return the seconds until there are so many."""
        now = self._clock()
        with self._lock:
            tokens, counted_at = self._buckets.pop(client, (self._most, now))
            tokens = min(self._most, tokens + (now - counted_at) * self._per_second)
            allowed = tokens >= count
            self._buckets[client] = (tokens - count if allowed else tokens, now)
            wait = 0.0 if allowed else (count - tokens) / self._per_second
            self._refused.pop(client, None)
            if not allowed:
                self._refused[client] = now + wait
            for known in (self._buckets, self._refused):
                if len(known) > MOST_CLIENTS:
                    known.popitem(last=False)
        return wait

    def left(self, client: str) -> float:
        """Return the seconds until `client` may try again what was refused; 0 if nothing was."""
        with self._lock:
            return max(0.0, self._refused.get(client, 0.0) - self._clock()) if client in self._refused else 0.0
