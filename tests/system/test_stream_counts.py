"""Every record of the input stream is answered once or told as an error once, in order, whenever the scorer runs."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from tests.engines import Engine
from tests.streams import Outcome, Traffic, shipped, stream_scorer
from tests.toy import Scorer, running

log = logging.getLogger(__name__)
COUNT = int(os.environ.get("STREAM_RECORDS", "8000"))
SECONDS = 60 + COUNT / 500


def test_every_record_is_accounted_for_once_and_in_order(
    engine: Engine, scorer: Scorer, traffic: Traffic, tmp_path: Path
) -> None:
    traffic.put(engine.client(), COUNT)
    outcome = Outcome(engine.client())
    with running(scorer):
        began = time.monotonic()
        outcome.wait(traffic, SECONDS)
        log.info("%.0f records a second", COUNT / (time.monotonic() - began))
        assert scorer.stop() == 0
    log.info("accounted for: %s", outcome.check(traffic, once=True))
    assert len(traffic.unscorable) == COUNT // 100
    assert outcome.in_order(traffic)
    store = shipped(tmp_path / "data")
    assert store.keys() == traffic.scorable.keys()
    assert set(store.values()) == {1}


def test_what_is_put_while_the_scorer_is_down_is_scored_when_it_is_back(
    engine: Engine, scorer: Scorer, traffic: Traffic
) -> None:
    outcome = Outcome(engine.client())
    traffic.put(engine.client(), 1000)
    with running(scorer):
        outcome.wait(traffic, SECONDS)
        assert scorer.stop() == 0
    traffic.put(engine.client(), 1000)
    with running(scorer):
        outcome.wait(traffic, SECONDS)
    outcome.check(traffic, once=True)


def test_sigterm_finishes_the_batch_so_that_nothing_comes_twice(
    engine: Engine, scorer: Scorer, traffic: Traffic
) -> None:
    traffic.put(engine.client(), COUNT)
    outcome = Outcome(engine.client())
    for _ in range(4):
        with running(scorer):
            assert scorer.stop() == 0
    with running(scorer):
        outcome.wait(traffic, SECONDS)
    outcome.check(traffic, once=True)


def test_a_second_copy_says_who_holds_the_stream_and_changes_nothing(
    engine: Engine, scorer: Scorer, traffic: Traffic, tmp_path: Path
) -> None:
    traffic.put(engine.client(), 1000)
    outcome = Outcome(engine.client())
    second = stream_scorer(tmp_path / "data", scorer.environ["RUN_ID"], engine.address)
    second.log = tmp_path / "second.log"
    with running(scorer):
        second.start()
        assert second.process.wait(60) == 1
        assert f"held by process {scorer.process.pid} on " in second.said()
        outcome.wait(traffic, SECONDS)
    outcome.check(traffic, once=True)
