"""What a process remembers about a refused bundle, which it tries again less and less often."""

from __future__ import annotations

from dataclasses import dataclass

# A refused run is tried again after these seconds, then after twice as many and so on: memory may be free again by
# then, or an artifact repaired. Each attempt may fetch a whole bundle.
FIRST_RETRY = 10.0
LONGEST_RETRY = 600.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was refused (a version, or a run's id), why, and when it is tried again; `wait` is the time before that."""

    what: object
    reason: str
    wait: float
    again_at: float

    @classmethod
    def of(cls, what: object, reason: str, now: float, before: Refusal | None) -> Refusal:
        """Return the refusal of `what` at `now`, in seconds; it waits twice as long as `before`, if that was of it."""
        again = before is not None and before.what == what
        wait = min(2 * before.wait, LONGEST_RETRY) if before and again else FIRST_RETRY
        return cls(what, reason, wait, now + wait)

    def holds(self, what: object, now: float) -> bool:
        """Return whether `what` is not to be tried yet."""
        return self.what == what and now < self.again_at
