"""Ends the demo's processes when the demo is gone, however it ended: `python -m demo.watchdog`, pids on its input."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Collection
from contextlib import suppress

STOP_SECONDS = 15.0


def main() -> None:
    """Read one process group a line until the other end of the pipe closes, then end those that are left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it outlives the demo, and ends right after it
    end([int(line) for line in sys.stdin])


def end(groups: Collection[int], seconds: float = STOP_SECONDS) -> None:
    """Ask every process group to end, and kill after `seconds` what is left."""
    for group in groups:
        _signal(group, signal.SIGTERM)
    ends = time.monotonic() + seconds
    while any(_signal(group, 0) for group in groups) and time.monotonic() < ends:
        time.sleep(0.1)
    for group in groups:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


if __name__ == "__main__":
    main()
