"""How many forms a client may send: a bucket of tokens each, refilled steadily."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

MOST_CLIENTS = 10_000  # remembered; who was quiet for longest is forgotten first


class RateLimit:
    """Any thread may ask."""

    def __init__(self, per_minute: int, clock: Callable[[], float]):
        """Allow `per_minute` at once, and as many each minute after."""
        self._most, self._per_second, self._clock = float(per_minute), per_minute / 60, clock
        self._buckets, self._lock = OrderedDict[str, tuple[float, float]](), Lock()  # client -> tokens, when

    def wait(self, client: str) -> float:
        """Take a token of `client` and return 0, or return the seconds until there is one."""
        now = self._clock()
        with self._lock:
            tokens, since = self._buckets.pop(client, (self._most, now))
            tokens = min(self._most, tokens + (now - since) * self._per_second)
            allowed = tokens >= 1
            self._buckets[client] = (tokens - allowed, now)
            if len(self._buckets) > MOST_CLIENTS:
                self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self._per_second
