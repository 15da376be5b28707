"""Polling waits longer while it fails, and logs what was foreseen in one line."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import pytest

from scorehouse.errors import StoreUnavailable
from scorehouse.polling import poll_forever


class Waits(Event):
    """Never waits, but remembers for how long, and is set after the last of `most` waits."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.seconds = most, list[float]()

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        return len(self.seconds) == self.most


def steps(*results: bool | Exception) -> Callable[[], bool]:
    """A step that returns or raises one result after the other."""
    remaining = iter(results)

    def step() -> bool:
        result = next(remaining)
        if isinstance(result, Exception):
            raise result
        return result

    return step


def test_a_step_with_more_to_do_is_repeated_at_once_and_a_failing_one_ever_later() -> None:
    down = StoreUnavailable("the store is down")
    waits = Waits(most=7)
    poll_forever(steps(True, False, down, down, down, False, True), "reading", waits, 1.0, 5.0)
    assert waits.seconds == [0.0, 1.0, 2.0, 4.0, 5.0, 1.0, 0.0]


def test_an_expected_error_is_one_line_of_the_log_and_any_other_has_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    poll_forever(steps(StoreUnavailable("the store is down"), KeyError("seq")), "reading", Waits(most=2), 1.0)
    expected, unforeseen = caplog.records
    assert expected.getMessage() == "reading failed: the store is down; trying again in 1 s"
    assert expected.exc_info is None
    assert unforeseen.exc_info is not None
