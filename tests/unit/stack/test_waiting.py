"""Waiting for services ends when they are well, soon when one never will be, and says why with its log."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from rich.console import Console

from stack import compose
from stack.compose import MOST_FALLS, Compose, Container
from stack.environment import StackError


class Told(Compose):
    """A project whose containers are what the test says, look by look; the last look goes on."""

    def __init__(self, *looks: Iterable[Container]):
        self._console, self._looks, self.count = Console(quiet=True), [list(look) for look in looks], 0

    def containers(self) -> list[Container]:
        self.count += 1
        return self._looks[min(self.count, len(self._looks)) - 1]

    def logs(self, services: list[str]) -> str:
        return f"what {', '.join(services)} said"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "LOOK_SECONDS", 0.0)


WELL = Container("scorer", "running", "healthy")
STARTING = Container("scorer", "running", "starting")
FALLEN = Container("scorer", "restarting", "")


def test_it_ends_when_all_are_well_whatever_others_do() -> None:
    told = Told([STARTING, Container("grafana", "exited", "")], [WELL, Container("grafana", "exited", "")])
    told.wait({"scorer"}, seconds=60)
    assert told.count == 2


def test_a_service_without_a_check_is_well_when_it_runs() -> None:
    Told([Container("simulator-http", "running", "")]).wait({"simulator-http"}, seconds=60)


def test_a_service_that_falls_once_is_waited_for() -> None:
    Told([FALLEN], [STARTING], [WELL]).wait({"scorer"}, seconds=60)


def test_a_service_that_does_not_stay_up_is_given_up_with_its_log() -> None:
    told = Told([FALLEN])
    with pytest.raises(StackError, match=r"does not stay up: scorer\nwhat scorer said"):
        told.wait({"scorer"}, seconds=60)
    assert told.count == MOST_FALLS + 1


def test_a_service_that_is_late_is_named_with_its_log() -> None:
    with pytest.raises(StackError, match=r"not well after 0 s: scorer\nwhat scorer said"):
        Told([STARTING]).wait({"scorer"}, seconds=0.0)


def test_a_service_that_has_no_container_is_late_as_well() -> None:
    with pytest.raises(StackError, match="not well after 0 s: scorer"):
        Told([]).wait({"scorer"}, seconds=0.0)
