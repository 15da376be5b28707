"""The HTTP scorer as a decent client calls it: bounded, with back-off and jitter, and Retry-After honoured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import local
from typing import Any

import orjson
import requests

from scorehouse.errors import ScorehouseError
from scorehouse.streams.publisher import Backoff

TRIES = 5  # of one request
TIMEOUT = (3.0, 10.0)  # seconds to connect, and to answer
LONGEST_RETRY_AFTER = 30.0  # seconds
AGAIN = {429, 500, 502, 503, 504}
READY_EVERY = 0.5


class NotReady(ScorehouseError):
    """The scorer was not ready in time."""


class ScorerClient:
    """Calls the scorer at `address`; may be used from several threads."""

    def __init__(
        self,
        address: str,
        sleep: Callable[[float], bool],
        random: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        session: Callable[[], requests.Session] = requests.Session,
    ):
        """`sleep` waits the given seconds and returns early and true once the process should stop."""
        self.address = address.rstrip("/")
        self._sleep, self._random, self._now, self._session = sleep, random, now, session
        self._own = local()
        self.retries = 0

    def predict(self, body: bytes) -> int:
        """Return the status of the answer to `body`; 0 where none came in all tries."""
        answer = self._post("/predict", body)
        return answer.status_code if answer is not None else 0

    def send_outcomes(self, outcomes: Sequence[dict[str, Any]]) -> bool:
        """Say whether the scorer took the outcomes."""
        answer = self._post("/outcomes", orjson.dumps(outcomes))
        return answer is not None and answer.ok

    def wait_ready(self, seconds: float, clock: Callable[[], float]) -> bool:
        """Return true once /readyz says so, and false when the process should stop before. Raises NotReady."""
        ends = clock() + seconds
        while True:
            try:
                answer = self._mine().get(f"{self.address}/readyz", timeout=TIMEOUT)
                said = "ready" if answer.ok else f"{answer.status_code}, {answer.text[:200]}"
            except requests.RequestException as error:
                said = type(error).__name__
            if said == "ready":
                return True
            if clock() > ends:
                raise NotReady(f"the scorer at {self.address} was not ready within {seconds:g} s ({said})")
            if self._sleep(READY_EVERY):
                return False

    def _post(self, path: str, body: bytes) -> requests.Response | None:
        backoff, answer = Backoff(self._random, first=0.2, longest=5.0), None
        for attempt in range(TRIES):
            if attempt:
                self.retries += 1
                if self._sleep(max(backoff.next(), self._retry_after(answer))):
                    return answer
            try:
                answer = self._mine().post(
                    f"{self.address}{path}", data=body, headers={"Content-Type": "application/json"}, timeout=TIMEOUT
                )
            except requests.RequestException:
                answer = None
                continue
            if answer.status_code not in AGAIN:
                break
        return answer

    def _mine(self) -> requests.Session:
        """The calling thread's own session: requests does not promise that threads may share one."""
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = self._session()
        return session

    def _retry_after(self, answer: requests.Response | None) -> float:
        """What the answer asks for (RFC 9110, 10.2.3: seconds or a date), within reason."""
        asked = answer.headers.get("Retry-After", "") if answer is not None else ""
        try:
            seconds = float(asked) if asked.isdigit() else (parsedate_to_datetime(asked) - self._now()).total_seconds()
        except (ValueError, TypeError):
            return 0.0
        return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
