"""Every record of the input stream is answered or reported as an error exactly once and in order."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from tests.engines import Engine
from tests.processes import Scorer, running
from tests.streams import Outcome, Traffic, shipped, stream_scorer

log = logging.getLogger(__name__)
COUNT = int(os.environ.get("STREAM_RECORDS", "8000"))
SECONDS = 60 + COUNT / 500


def test_every_record_is_accounted_for_once_and_in_order(
    engine: Engine, scorer: Scorer, traffic: Traffic, outcome: Outcome, tmp_path: Path
) -> None:
    traffic.put(engine.client(), COUNT)
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


def test_records_that_were_put_while_the_scorer_was_down_are_scored_once_it_runs_again(
    engine: Engine, scorer: Scorer, traffic: Traffic, outcome: Outcome
) -> None:
    traffic.put(engine.client(), 1000)
    with running(scorer):
        outcome.wait(traffic, SECONDS)
        assert scorer.stop() == 0
    traffic.put(engine.client(), 1000)
    with running(scorer):
        outcome.wait(traffic, SECONDS)
    outcome.check(traffic, once=True)


def test_sigterm_finishes_the_batch_so_that_no_answer_is_repeated(
    engine: Engine, scorer: Scorer, traffic: Traffic, outcome: Outcome
) -> None:
    traffic.put(engine.client(), COUNT)
    for _ in range(4):
        with running(scorer):
            assert scorer.stop() == 0
    with running(scorer):
        outcome.wait(traffic, SECONDS)
    outcome.check(traffic, once=True)


def test_a_second_scorer_names_the_process_that_holds_the_stream_and_ends(
    engine: Engine, scorer: Scorer, traffic: Traffic, outcome: Outcome, tmp_path: Path
) -> None:
    traffic.put(engine.client(), 1000)
    second = stream_scorer(tmp_path / "data", scorer.environ["RUN_ID"], engine.address)
    second.log = tmp_path / "second.log"
    with running(scorer):
        second.start()
        assert second.process.wait(60) == 1
        assert f"in use by process {scorer.process.pid} on " in second.said()
        outcome.wait(traffic, SECONDS)
    outcome.check(traffic, once=True)
