"""Sends outcomes to the HTTP scorer some time after the record, as a business learns them later."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from simulation_business.clients.scorer import ScorerClient
from simulation_business.traffic.tally import Tally
from simulation_business.traffic.traffic import Case

MOST = 500  # outcomes in one request
EVERY_SECONDS = 1.0  # between two requests, so that they are few and full


class OutcomeSender:
    """Sends the outcome of each case `after` seconds after the case itself, or no outcomes if `after` is None."""

    def __init__(self, scorer: ScorerClient, after: float | None, tally: Tally, clock: Callable[[], float]):
        """Start with no outcome that waits."""
        self._scorer = scorer
        self._after = after
        self._tally = tally
        self._clock = clock
        self._waiting: deque[tuple[float, Case]] = deque()
        self._next_at = clock()

    def __len__(self) -> int:
        """Return how many outcomes wait to be sent."""
        return len(self._waiting)

    def schedule(self, case: Case) -> None:
        """Send the outcome of `case` when it is due."""
        if self._after is not None:
            self._waiting.append((self._clock() + self._after, case))

    def seconds_until_due(self) -> float:
        """Return the seconds until `send_due` will send something; 0 if nothing waits."""
        return max(self._due_at() - self._clock(), 0.0) if self._waiting else 0.0

    def send_due(self) -> None:
        """Send the outcomes that are due. Refused ones are counted, not sent again: they would be refused again."""
        now = self._clock()
        if not self._waiting or now < self._due_at():
            return
        self._next_at = now + EVERY_SECONDS
        while due := self._take(now):
            outcomes = [{"prediction_id": c.prediction_id, "outcome": c.outcome} for c in due]
            sent = self._scorer.send_outcomes(outcomes)
            self._tally.add("outcomes sent" if sent else "outcomes lost", len(outcomes))

    def _due_at(self) -> float:
        return max(self._waiting[0][0], self._next_at)

    def _take(self, now: float) -> list[Case]:
        due: list[Case] = []
        while self._waiting and self._waiting[0][0] <= now and len(due) < MOST:
            due.append(self._waiting.popleft()[1])
        return due
