"""A well-behaved client of the HTTP scorer: bounded retries, back-off with jitter, and Retry-After respected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import local
from typing import Any

import orjson
import requests

from scorehouse.errors import ScorehouseError
from scorehouse.streams.publisher import Backoff

TRIES = 5  # for one request
TIMEOUT = (3.0, 10.0)  # seconds to connect, and to answer
LONGEST_RETRY_AFTER = 30.0  # seconds
RETRIED = {429, 500, 502, 503, 504}
POLL_SECONDS = 0.5  # until the scorer is ready


class NotReady(ScorehouseError):
    """The scorer was not ready in time."""


class ScorerClient:
    """Calls the scorer at `address`. Several threads may share it."""

    def __init__(
        self,
        address: str,
        sleep: Callable[[float], bool],
        random: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        session: Callable[[], requests.Session] = requests.Session,
        headers: Mapping[str, str] | None = None,
    ):
        """`sleep` waits the given seconds; it returns early, with true, when the process should stop.

        `headers` carry the secret of the services, where there is one.
        """
        self.address = address.rstrip("/")
        self._sleep = sleep
        self._random = random
        self._now = now
        self._new_session = session
        self._headers = dict(headers or {})
        self._thread = local()
        self.retries = 0

    def predict(self, body: bytes) -> int:
        """Return the status of the answer to `body`, or 0 if no try got an answer."""
        answer = self._post("/predict", body)
        return answer.status_code if answer is not None else 0

    def send_outcomes(self, outcomes: Sequence[dict[str, Any]]) -> bool:
        """Say whether the scorer accepted the outcomes."""
        answer = self._post("/outcomes", orjson.dumps(outcomes))
        return answer is not None and answer.ok

    def wait_ready(self, seconds: float, clock: Callable[[], float]) -> bool:
        """Return true once the scorer is ready, or false if the process should stop first. Raises NotReady."""
        ends = clock() + seconds
        while True:
            try:
                answer = self._session().get(f"{self.address}/readyz", headers=self._headers, timeout=TIMEOUT)
                if answer.ok:
                    return True
                reason = f"{answer.status_code}, {answer.text[:200]}"
            except requests.RequestException as error:
                reason = type(error).__name__
            if clock() > ends:
                raise NotReady(f"the scorer at {self.address} was not ready within {seconds:g} s ({reason})")
            if self._sleep(POLL_SECONDS):
                return False

    def _post(self, path: str, body: bytes) -> requests.Response | None:
        backoff = Backoff(self._random, first=0.2, longest=5.0)
        answer = None
        for attempt in range(TRIES):
            if attempt:
                self.retries += 1
                if self._sleep(max(backoff.next(), self._retry_after(answer))):
                    return answer
            try:
                answer = self._session().post(
                    f"{self.address}{path}",
                    data=body,
                    headers={"Content-Type": "application/json", **self._headers},
                    timeout=TIMEOUT,
                )
            except requests.RequestException:
                answer = None
                continue
            if answer.status_code not in RETRIED:
                break
        return answer

    def _session(self) -> requests.Session:
        """Return the calling thread's own session, because requests does not promise that threads may share one."""
        session: requests.Session | None = getattr(self._thread, "session", None)
        if session is None:
            session = self._thread.session = self._new_session()
        return session

    def _retry_after(self, answer: requests.Response | None) -> float:
        """Return the seconds that the answer asks for (RFC 9110, 10.2.3: seconds or a date), within limits."""
        header = answer.headers.get("Retry-After", "") if answer is not None else ""
        try:
            seconds = (
                float(header) if header.isdigit() else (parsedate_to_datetime(header) - self._now()).total_seconds()
            )
        except (ValueError, TypeError):
            return 0.0
        return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
