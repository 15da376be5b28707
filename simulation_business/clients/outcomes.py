"""The truth, which a business learns later: sent to the HTTP scorer when its time has come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from simulation_business.clients.scorer import ScorerClient
from simulation_business.traffic.tally import Tally
from simulation_business.traffic.traffic import Case

MOST = 500  # outcomes of one request
EVERY_SECONDS = 1.0  # between two requests, so that they are few and full


class Outcomes:
    """Outcomes of cases that were sent, in the order of their sending; `after` None sends none."""

    def __init__(self, scorer: ScorerClient, after: float | None, tally: Tally, clock: Callable[[], float]):
        """`after` is in seconds."""
        self._scorer, self._after, self._tally, self._clock = scorer, after, tally, clock
        self._waiting: deque[tuple[float, Case]] = deque()
        self._next = clock()

    def __len__(self) -> int:
        """Return how many wait for their time."""
        return len(self._waiting)

    def expect(self, case: Case) -> None:
        """Send the outcome of `case` when its time has come."""
        if self._after is not None:
            self._waiting.append((self._clock() + self._after, case))

    def seconds(self) -> float:
        """Return the seconds until `send_due` sends the next; 0 where none waits."""
        return max(self._waiting[0][0] - self._clock(), self._next - self._clock(), 0.0) if self._waiting else 0.0

    def send_due(self) -> None:
        """Send those that are due; the scorer's refusals are counted, for they would be refused again."""
        now = self._clock()
        if not self._waiting or now < max(self._waiting[0][0], self._next):
            return
        self._next = now + EVERY_SECONDS
        while due := self._take(now):
            told = [{"prediction_id": c.prediction_id, "outcome": c.outcome} for c in due]
            self._tally.add("outcomes sent" if self._scorer.send_outcomes(told) else "outcomes lost", len(told))

    def _take(self, now: float) -> list[Case]:
        due: list[Case] = []
        while self._waiting and self._waiting[0][0] <= now and len(due) < MOST:
            due.append(self._waiting.popleft()[1])
        return due
