"""How fast to send: `rate` records a second, evenly. A pause of the scorer is not followed by a burst."""

from __future__ import annotations

from collections.abc import Callable

MOST_BEHIND = 1.0  # seconds of missed records that are still sent


class Pace:
    """Counts the records that are due."""

    def __init__(self, rate: float, clock: Callable[[], float]):
        """Begin now, with one record due."""
        self._rate = rate
        self._clock = clock
        self._at = clock()
        self._due = 1.0

    def take(self, most: int) -> int:
        """Return how many records to send now, at most `most`, and count them as sent."""
        now = self._clock()
        self._due = min(self._due + (now - self._at) * self._rate, max(1.0, self._rate * MOST_BEHIND))
        self._at = now
        taken = min(int(self._due), most)
        self._due -= taken
        return taken

    def wait(self) -> float:
        """Return the seconds until the next record is due."""
        return max((1.0 - self._due) / self._rate - (self._clock() - self._at), 0.0)
