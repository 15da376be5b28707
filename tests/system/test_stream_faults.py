"""Faults of Kinesis only cost the scorer time: they are injected by a proxy in front of a real engine."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from tests.engines import Engine
from tests.faults import Answer, FaultyProxy, Forward
from tests.processes import Scorer, running, until
from tests.streams import RESULTS, Outcome, Traffic, shipped

log = logging.getLogger(__name__)
COUNT = int(os.environ.get("STREAM_RECORDS", "5000"))
SECONDS = 60 + COUNT / 200


@pytest.fixture
def proxy(engine: Engine) -> Iterator[FaultyProxy]:
    """A proxy in front of the engine, without rules."""
    with FaultyProxy(engine.address).running() as proxy:
        yield proxy


@pytest.fixture
def troubled(proxy: FaultyProxy, stream_scorer_of: Callable[[str], Scorer]) -> Scorer:
    """A scorer behind the proxy, not started."""
    return stream_scorer_of(proxy.address)


def retries(scorer: Scorer) -> dict[str, float]:
    """Return the scorer's count of retries, by reason."""
    lines = requests.get(f"{scorer.url}/metrics", timeout=5).text.splitlines()
    counts = [line for line in lines if line.startswith("scorehouse_stream_retries_total")]
    return {line.partition('reason="')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in counts}


def test_entries_that_fail_are_sent_again_until_all_are_published(
    proxy: FaultyProxy, troubled: Scorer, traffic: Traffic, engine: Engine, outcome: Outcome
) -> None:
    proxy.rules["PutRecords"] = proxy.failing_entries(0.3)
    traffic.put(engine.client(), COUNT)
    with running(troubled):
        outcome.wait(traffic, SECONDS)
        assert troubled.stop() == 0
    log.info("injected %s: %s", proxy.injected, outcome.check(traffic, once=True))
    assert proxy.injected["entries"] > 0.3 * COUNT


@pytest.mark.parametrize(
    ("operation", "code", "status"),
    [
        ("GetRecords", "ExpiredIteratorException", 400),
        ("GetRecords", "ProvisionedThroughputExceededException", 400),
        ("PutRecords", "ProvisionedThroughputExceededException", 400),
        ("GetRecords", "InternalFailure", 500),
        ("PutRecords", "ServiceUnavailable", 503),
    ],
)
def test_calls_that_are_refused_half_the_time_are_repeated(
    operation: str,
    code: str,
    status: int,
    proxy: FaultyProxy,
    troubled: Scorer,
    traffic: Traffic,
    engine: Engine,
    outcome: Outcome,
) -> None:
    proxy.rules[operation] = proxy.refusing(0.5, code, status)
    traffic.put(engine.client(), COUNT // 4)
    with running(troubled):
        outcome.wait(traffic, SECONDS)
        traffic.put(engine.client(), COUNT // 4)
        outcome.wait(traffic, SECONDS)
        until(lambda: proxy.injected[code] > 3, 20, "some calls were refused")
        if code == "ExpiredIteratorException":  # the client itself retries the others first
            assert retries(troubled)[code] > 0
    log.info("injected %s: %s", proxy.injected, outcome.check(traffic, once=True))


def test_all_faults_at_once_lose_and_repeat_nothing(
    proxy: FaultyProxy, troubled: Scorer, traffic: Traffic, engine: Engine, outcome: Outcome, tmp_path: Path
) -> None:
    refused = proxy.refusing(0.2, "ProvisionedThroughputExceededException")
    failing = proxy.failing_entries(0.3)

    def put(body: dict[str, Any], forward: Forward) -> Answer:
        return refused(body, lambda passed: failing(passed, forward))

    expired = proxy.refusing(0.1, "ExpiredIteratorException")
    proxy.rules = {"PutRecords": put, "GetRecords": lambda body, forward: expired(body, lambda b: refused(b, forward))}
    feeder = Thread(target=traffic.put, args=(engine.client(), COUNT), kwargs={"pause": 0.05})
    feeder.start()
    with running(troubled):
        feeder.join(SECONDS)
        outcome.wait(traffic, SECONDS)
        log.info("the scorer counted %s", retries(troubled))
        assert troubled.stop() == 0
    log.info("injected %s: %s", proxy.injected, outcome.check(traffic, once=True))
    assert set(shipped(tmp_path / "data").values()) == {1}


def test_a_scorer_killed_between_publishing_and_checkpoint_repeats_the_same_bytes(
    proxy: FaultyProxy, troubled: Scorer, traffic: Traffic, engine: Engine, outcome: Outcome, tmp_path: Path
) -> None:
    def killing(body: dict[str, Any], forward: Forward) -> Answer:
        answer = forward(body)
        if body["StreamName"] == RESULTS and proxy.injected["kill"] < 3:
            proxy.injected["kill"] += 1
            troubled.kill()
        return answer

    traffic.put(engine.client(), 300)
    proxy.rules["PutRecords"] = killing
    for _ in range(3):
        troubled.start()
        troubled.process.wait(60)
    with running(troubled):
        outcome.wait(traffic, SECONDS)
    counts = outcome.check(traffic, once=False)
    assert counts["answers"] > counts["scorable"]
    assert set(shipped(tmp_path / "data").values()) == {1}


def test_after_a_restart_of_the_engine_nothing_is_missing(
    engine: Engine, scorer: Scorer, traffic: Traffic, outcome: Outcome
) -> None:
    traffic.put(engine.client(), COUNT)
    with running(scorer):
        engine.stop()
        until(lambda: not scorer.ready(), 30, "the scorer says that its streams are gone")
        assert requests.get(f"{scorer.url}/healthz", timeout=5).ok, "it is alive while its stream is down"
        time.sleep(1)
        engine.start()
        outcome.wait(traffic, SECONDS)
        traffic.put(engine.client(), 500)
        outcome.wait(traffic, SECONDS)
        scorer.wait_ready(30)
    outcome.check(traffic, once=False)
