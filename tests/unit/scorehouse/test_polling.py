"""One polling loop: it polls again, backs off after errors, and nothing that a step raises ends it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event

import pytest

from scorehouse.errors import StoreUnavailable
from scorehouse.polling import poll_forever, poll_in_thread


class Waits(Event):
    """Keeps the waits that it is asked for, and stops after `last` of them; it waits for nothing."""

    def __init__(self, last: int):
        super().__init__()
        self.seconds: list[float] = []
        self._last = last

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        return len(self.seconds) >= self._last


def waits(step: Callable[[], object], last: int, longest: float | None = None) -> list[float]:
    stop = Waits(last)
    poll_forever(step, "looking", stop, 2.0, longest)
    return stop.seconds


def failing(*failures: Exception | None) -> Callable[[], object]:
    """A step that raises these one after another; None is a good step."""
    left = iter(failures)

    def step() -> None:
        if failure := next(left):
            raise failure

    return step


def test_a_step_is_called_at_once_and_again_after_each_wait() -> None:
    steps: list[int] = []
    assert waits(lambda: steps.append(1), 3) == [2.0, 2.0, 2.0]
    assert len(steps) == 3


def test_true_means_that_there_is_more_to_do_and_waits_for_nothing() -> None:
    answers = iter([True, True, False, 1])
    assert waits(lambda: next(answers), 4) == [0.0, 0.0, 2.0, 2.0]


def test_waits_after_errors_double_up_to_the_longest_and_a_good_step_ends_that() -> None:
    errors = [ValueError(), ValueError(), ValueError(), None, ValueError()]
    assert waits(failing(*errors), 5, longest=10.0) == [4.0, 8.0, 10.0, 2.0, 4.0]


def test_without_a_longest_wait_errors_change_nothing() -> None:
    assert waits(failing(ValueError(), ValueError()), 2) == [2.0, 2.0]


def test_an_error_after_more_to_do_waits_as_after_any_other_step() -> None:
    answers: list[Exception | bool] = [True, ValueError()]

    def step() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert waits(step, 2, longest=10.0) == [0.0, 4.0]


def test_our_own_errors_are_one_line_and_others_bring_their_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        waits(failing(StoreUnavailable("the store is away"), KeyError("oops")), 2, longest=10.0)
    ours, other = caplog.records
    assert ours.getMessage() == "looking failed: the store is away; trying again in 4 s" and ours.exc_info is None
    assert other.getMessage() == "looking failed; trying again in 8 s" and other.exc_info is not None


def test_a_thread_polls_until_it_is_stopped() -> None:
    stop, polled = Event(), Event()
    thread = poll_in_thread(polled.set, "looking", stop, 0.001)
    assert polled.wait(10) and thread.daemon and thread.name == "looking"
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
