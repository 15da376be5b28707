"""How fast to send: `rate` records a second, evenly; what was missed while the scorer was slow comes back no burst."""

from __future__ import annotations

from collections.abc import Callable

MOST_BEHIND = 1.0  # seconds that are caught up


class Pace:
    """Counts what is due by the clock."""

    def __init__(self, rate: float, clock: Callable[[], float]):
        """Begin now, with one record due."""
        self._rate, self._clock = rate, clock
        self._at, self._due = clock(), 1.0

    def take(self, most: int) -> int:
        """Return how many records to send now, `most` at most, and count them as sent."""
        now = self._clock()
        self._due = min(self._due + (now - self._at) * self._rate, max(1.0, self._rate * MOST_BEHIND))
        self._at = now
        taken = min(int(self._due), most)
        self._due -= taken
        return taken

    def wait(self) -> float:
        """Return the seconds until the next record is due."""
        return max((1.0 - self._due) / self._rate - (self._clock() - self._at), 0.0)
