"""The waiting of the loop: it ends early on SIGTERM, and each wait is a heartbeat that a health check can see.

`python -m server.stream.heartbeat` is that check: it exits 0 while the scorer of this DATA_FOLDER is alive, else 1.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

from scorehouse.environment import settings_or_exit

MOST_SILENCE = 120.0  # seconds: longer than the slowest call with its retries


class Heartbeat:
    """A file that each pause touches; `stopped` is set once the process should stop."""

    def __init__(self, heartbeat: Path, clock: Callable[[], float] = time.monotonic):
        """The folder of the file `heartbeat` must exist."""
        self.stopped = Event()
        self._heartbeat = heartbeat
        self._clock = clock
        self._beat_at = -1.0

    def pause(self, seconds: float) -> bool:
        """Beat, wait up to `seconds`, and return whether to stop."""
        now = self._clock()
        if now >= self._beat_at:
            self._heartbeat.touch()
            self._beat_at = now + 1
        return self.stopped.wait(seconds)

    def stop(self) -> None:
        """End every pause, now and later."""
        self.stopped.set()


def silence(heartbeat: Path, now: Callable[[], float] = time.time) -> float:
    """Return the seconds since the last heartbeat, infinite if there was none."""
    try:
        return now() - heartbeat.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def main() -> None:
    """Exit 0 while the scorer is alive, or else 1 with the reason."""
    heartbeat = settings_or_exit().stream.heartbeat_path
    if (seconds := silence(heartbeat)) > MOST_SILENCE:
        sys.exit(f"{heartbeat}: no heartbeat for {seconds:.0f} s")


if __name__ == "__main__":
    main()
