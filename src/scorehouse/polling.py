"""Background polling that survives every error."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

from scorehouse.errors import ScorehouseError

log = logging.getLogger(__name__)
POLL_SECONDS = 2.0


def poll_forever(
    step: Callable[[], object], name: str, stop: Event, seconds: float = POLL_SECONDS, longest: float | None = None
) -> None:
    """Call `step` now and again, `seconds` after it has ended, until `stop` is set.

    A step that returns True has more to do and is called again at once. An exception is logged and ends nothing, with
    its traceback unless we raised it ourselves: the wait after it doubles, up to `longest` seconds (`seconds` if not
    given).
    """
    wait = seconds
    while True:
        try:
            wait = 0.0 if step() is True else seconds
        except ScorehouseError as error:
            wait = min(max(wait, seconds) * 2, longest or seconds)
            log.warning("%s failed: %s; trying again in %g s", name, error, wait)
        except Exception:  # an error that nobody foresaw must not end the polling
            wait = min(max(wait, seconds) * 2, longest or seconds)
            log.exception("%s failed; trying again in %g s", name, wait)
        if stop.wait(wait):
            return


def poll_in_thread(
    step: Callable[[], object], name: str, stop: Event, seconds: float = POLL_SECONDS, longest: float | None = None
) -> Thread:
    """Start `poll_forever` in a daemon thread called `name`, and return the thread."""
    thread = Thread(target=poll_forever, args=(step, name, stop, seconds, longest), name=name, daemon=True)
    thread.start()
    return thread
