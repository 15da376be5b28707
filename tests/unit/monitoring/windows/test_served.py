"""The monitor knows whether it can watch the run to serve, and a refusal is not for ever."""

from __future__ import annotations

import pytest

from monitoring.evidently_service.windows.served import Served
from scorehouse.errors import BundleError
from scorehouse.registry.client import Version
from tests.unit.monitoring.house import OTHER, RUN, USE_CASE, FakeCache


class Cache(FakeCache):
    """A registry that names `says`, and a bundle that may be refused."""

    def __init__(self) -> None:
        super().__init__(RUN, OTHER)
        self.says, self.loads = RUN, 0
        self.faults: dict[str, str] = {}

    def ask(self, use_case: str, wanted: str) -> Version:
        return Version("1", self.says, None)

    def load(self, version: Version) -> object:  # type: ignore[override]
        self.loads += 1
        if why := self.faults.get(version.run_id):
            raise BundleError(why)
        return super().load(version)


class History:
    """A history that nobody asks for more than its changes."""

    def changes(self) -> list[object]:
        return []

    def note(self, *_: object) -> None:
        """Record nothing."""


@pytest.fixture
def cache() -> Cache:
    return Cache()


def test_a_refusal_is_tried_again_after_a_growing_wait(cache: Cache) -> None:
    now = [0.0]
    served = Served(USE_CASE, cache, History(), lambda: now[0])  # type: ignore[arg-type]
    cache.faults[RUN] = "there was no memory for it"
    tried = []
    while now[0] < 100:
        before = cache.loads
        served.poll()
        if cache.loads > before:
            tried.append(now[0])
        now[0] += 2
    assert (served.run_id, served.refused) == (None, "there was no memory for it")
    assert tried == [0, 10, 30, 70]
    cache.faults.clear()
    now[0] = 200.0
    served.poll()
    served.poll()
    assert (served.run_id, served.refused, cache.loads) == (RUN, None, 5)


def test_a_run_that_comes_back_after_a_refused_one_is_refused_no_longer(cache: Cache) -> None:
    served = Served(USE_CASE, cache, History(), lambda: 0.0)  # type: ignore[arg-type]
    served.poll()
    cache.says, cache.faults[OTHER] = OTHER, "it is damaged"
    served.poll()
    assert (served.run_id, served.refused) == (RUN, "it is damaged")
    cache.says = RUN
    served.poll()
    assert (served.run_id, served.refused) == (RUN, None)
