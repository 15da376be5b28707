"""One promotion at a time: claims in the registry, of which at most one goes on."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from model_orchestration.promotion.lock import PATIENCE_SECONDS, PREFIX, VALID_SECONDS, PromotionLock
from scorehouse.errors import AlreadyRunning
from scorehouse.registry.client import Registry


class Tags(Registry):
    """The tags of one model."""

    def __init__(self) -> None:
        super().__init__("http://registry")
        self.all: dict[str, str] = {"other": "x"}

    def tags(self, use_case: str) -> dict[str, str]:
        return dict(self.all)

    def set_tag(self, use_case: str, key: str, value: str) -> None:
        self.all[key] = value

    def remove_tag(self, use_case: str, key: str) -> None:
        self.all.pop(key, None)


class Clock:
    """A time that passes only where somebody sleeps."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def lock(tags: Tags, clock: Clock) -> PromotionLock:
    return PromotionLock(tags, "churn", clock, clock.sleep)


def test_a_second_promotion_waits_and_then_gives_up_with_what_to_do() -> None:
    tags, clock = Tags(), Clock()
    with lock(tags, clock).acquire():
        began = clock.now
        with pytest.raises(AlreadyRunning, match="another promotion of churn is running: wait"), ExitStack() as stack:
            stack.enter_context(lock(tags, clock).acquire())
        assert PATIENCE_SECONDS <= clock.now - began < PATIENCE_SECONDS + 5
    assert tags.all == {"other": "x"}
    with lock(tags, clock).acquire():
        assert len(tags.all) == 2


def test_the_claim_of_a_process_that_died_expires_and_is_removed() -> None:
    tags, clock = Tags(), Clock()
    lock(tags, clock)._claim()
    tags.all[f"{PREFIX}broken"] = "soon"
    clock.now += VALID_SECONDS - PATIENCE_SECONDS / 2
    with lock(tags, clock).acquire():
        assert sum(key.startswith(PREFIX) for key in tags.all) == 1


def test_a_promotion_that_outlived_its_claim_moves_nothing() -> None:
    tags, clock = Tags(), Clock()
    own = lock(tags, clock)
    with own.acquire():
        own.check()
        clock.now += VALID_SECONDS
        with pytest.raises(AlreadyRunning, match="took longer than 15 minutes"):
            own.check()


def test_of_many_at_once_at_most_one_is_inside() -> None:
    tags = Tags()
    inside, most, done, guard = 0, 0, 0, threading.Lock()
    together = threading.Barrier(8)

    def promote() -> None:
        nonlocal inside, most, done
        pause = threading.Event()
        own = PromotionLock(tags, "churn", sleep=lambda _: pause.wait(0.001 * (1 + int(own._key[-2:], 16) % 7)))
        together.wait()
        with own.acquire():
            with guard:
                inside += 1
                most = max(most, inside)
            pause.wait(0.001)
            with guard:
                inside -= 1
                done += 1

    threads = [threading.Thread(target=promote) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (1, 8)
