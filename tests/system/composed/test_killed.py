"""Each container's main process killed on the host, under traffic on both doors: all come back, and nothing is lost."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.composed.project import compose, containers, how, ill, services, until
from tests.system.composed.traffic import Traffic, every_one_is_stored, kinesis

pytestmark = pytest.mark.compose
LONGEST_SECONDS = 60
FORGETS = "localstack"  # what it held when it died, nobody has; it is killed last


@pytest.fixture(scope="module")
def traffic(stack: str) -> Iterator[Traffic]:
    with Traffic().running() as traffic:
        yield traffic


@pytest.fixture(scope="module")
def table(shown: list[str]) -> list[str]:
    """The figures of each kill."""
    shown.append(f"{'killed':20}{'back s':>8}{'all well s':>12}{'HTTP refused':>14}{'puts refused':>14}")
    return shown


def starts() -> dict[str, str]:
    return {name: container["State"]["StartedAt"] for name, container in containers().items()}


def kill(service: str) -> float:
    """Kill a container's main process and return the seconds until the engine has it back and its check says well."""
    before = containers()[service]
    began = time.monotonic()
    os.kill(before["State"]["Pid"], 9)

    def back() -> bool:
        now = containers()[service]
        return bool(now["RestartCount"] > before["RestartCount"] and how(now) in {"running healthy", "running"})

    until(f"{service} back", back, LONGEST_SECONDS)
    return time.monotonic() - began


def test_whoever_dies_is_back_within_a_minute_alone_and_nothing_is_lost(
    stack: str, traffic: Traffic, log: Any, table: list[str]
) -> None:
    for service in [name for name in services() if name != FORGETS]:
        before, refused = starts(), dict(traffic.refused)
        began = time.monotonic()
        back = kill(service)
        until(f"all well after {service} died", lambda: not ill(), LONGEST_SECONDS)
        well = time.monotonic() - began
        lost = {door: traffic.refused[door] - refused[door] for door in refused}
        table.append(f"{service:20}{back:8.1f}{well:12.1f}{lost['http']:14}{lost['stream']:14}")
        assert [n for n, at in starts().items() if at != before[n] and n != service] == [], f"fell with {service}"
        assert well <= LONGEST_SECONDS, service
    every_one_is_stored(log, [*traffic.answered, *traffic.put])


def test_the_store_may_be_away_scoring_goes_on_and_the_backlog_drains(stack: str, traffic: Traffic, log: Any) -> None:
    seconds = float(os.environ.get("COMPOSE_TEST_AWAY_SECONDS", "20"))
    compose("stop", "mongodb")
    answered, refused = len(traffic.answered), traffic.refused["http"]
    time.sleep(seconds)
    assert len(traffic.answered) - answered > 5 * seconds and traffic.refused["http"] == refused
    compose("start", "mongodb")
    every_one_is_stored(log, [*traffic.answered, *traffic.put])
    until("all well", lambda: not ill())


def test_the_emulator_forgets_its_streams_are_made_again_and_scoring_goes_on(
    stack: str, traffic: Traffic, log: Any, table: list[str]
) -> None:
    before, began, refused = starts(), time.monotonic(), dict(traffic.refused)
    back = kill(FORGETS)
    until("all well after the emulator died", lambda: not ill(), LONGEST_SECONDS)
    lost = {door: traffic.refused[door] - refused[door] for door in refused}
    well = time.monotonic() - began
    table.append(f"{FORGETS:20}{back:8.1f}{well:12.1f}{lost['http']:14}{lost['stream']:14}")
    assert (
        kinesis().describe_stream_summary(StreamName="predictions")["StreamDescriptionSummary"]["OpenShardCount"] == 2
    )
    put = len(traffic.put)
    until("records are put again", lambda: len(traffic.put) > put + 50)
    assert [n for n, at in starts().items() if at != before[n] and n != FORGETS] == []
    every_one_is_stored(log, [*traffic.answered, *traffic.put[put + traffic.at_once :]])
