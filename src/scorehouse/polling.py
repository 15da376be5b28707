"""A thread that looks again and again, and that no error ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

log = logging.getLogger(__name__)
EVERY_SECONDS = 2.0


def keep_looking(look: Callable[[], None], what: str, stop: Event) -> Thread:
    """Call `look` now and every two seconds in a thread named `what`, until `stop` is set."""

    def loop() -> None:
        while True:
            try:
                look()
            except Exception:  # what nobody foresaw must not end the looking for good
                log.exception("looking for %s failed; the next look is in two seconds", what)
            if stop.wait(EVERY_SECONDS):
                return

    thread = Thread(target=loop, name=what, daemon=True)
    thread.start()
    return thread
