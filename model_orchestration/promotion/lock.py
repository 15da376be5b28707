"""One promotion at a time for a use case, over all machines that share a registry."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from scorehouse.errors import AlreadyRunning, RegistryUnavailable
from scorehouse.registry.client import Registry

PREFIX = "scorehouse.promotion."  # of the registered model, and a random name; the value is a Unix time
VALID_SECONDS = 900  # after which the claim of a process that died counts no more
PATIENCE_SECONDS = 120.0  # that one promotion waits for another
POLL_SECONDS = 2.0


class PromotionLock:
    """A claim in the registry, which has no locks of its own.

    Each process writes a claim under a name of its own, and only then looks for others. Whoever sees another claim
    takes its own back, so two never both continue: of two, at least one sees the other.
    """

    def __init__(
        self,
        registry: Registry,
        use_case: str,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ):
        """Claim nothing yet."""
        self._registry = registry
        self._use_case = use_case
        self._clock = clock
        self._sleep = sleep
        self._key = f"{PREFIX}{uuid.uuid4().hex}"
        self._until = 0.0

    @contextmanager
    def acquire(self) -> Iterator[None]:
        """Hold the lock. Raises AlreadyRunning if another promotion takes too long, or RegistryUnavailable."""
        ends = self._clock() + PATIENCE_SECONDS
        while not self._claim():
            if self._clock() >= ends:
                raise AlreadyRunning(
                    f"another promotion of {self._use_case} is running: wait until it has ended, then try again. If it "
                    f"died, its claim expires within {VALID_SECONDS // 60} minutes"
                )
            self._sleep(POLL_SECONDS * (1 + int(self._key[-1], 16) / 16))  # two that collided do not collide again
        try:
            yield
        finally:
            with suppress(RegistryUnavailable):  # the claim expires
                self._registry.remove_tag(self._use_case, self._key)

    def check(self) -> None:
        """Raise AlreadyRunning if the claim has expired, so that others may go on."""
        if self._clock() >= self._until:
            raise AlreadyRunning(
                f"comparing the models of {self._use_case} took longer than {VALID_SECONDS // 60} minutes, so another "
                "promotion may have begun, and nothing was promoted: try again"
            )

    def _claim(self) -> bool:
        self._until = self._clock() + VALID_SECONDS
        self._registry.set_tag(self._use_case, self._key, str(self._until))
        others = {k: v for k, v in self._registry.tags(self._use_case).items() if k.startswith(PREFIX)}
        others.pop(self._key, None)
        expired = [key for key, until in others.items() if not _is_after(until, self._clock())]
        for key in expired:
            self._registry.remove_tag(self._use_case, key)
        if len(expired) == len(others):
            return True
        self._registry.remove_tag(self._use_case, self._key)
        return False


def _is_after(until: str, now: float) -> bool:
    try:
        return float(until) > now
    except ValueError:
        return False
