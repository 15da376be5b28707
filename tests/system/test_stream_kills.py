"""A scorer that is killed at any moment loses nothing, and repeats answers byte for byte."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from random import Random

from tests.engines import Engine
from tests.processes import Scorer, running
from tests.streams import Outcome, Traffic, shipped

log = logging.getLogger(__name__)
COUNT = int(os.environ.get("STREAM_RECORDS", "12000"))
KILLS = int(os.environ.get("STREAM_KILLS", "5"))
SECONDS = 60 + COUNT / 500


def test_killed_at_random_moments_it_loses_nothing_and_repeats_itself_exactly(
    engine: Engine, scorer: Scorer, traffic: Traffic, outcome: Outcome, tmp_path: Path
) -> None:
    moments = Random(7)
    for _ in range(KILLS):
        traffic.put(engine.client(), COUNT // (KILLS + 1))
        with running(scorer):
            time.sleep(moments.uniform(0, 0.5))
            scorer.kill()
    traffic.put(engine.client(), COUNT - COUNT // (KILLS + 1) * KILLS)
    with running(scorer):
        outcome.wait(traffic, SECONDS)
        assert scorer.stop() == 0
    log.info("%d kills: %s", KILLS, outcome.check(traffic, once=False))
    store = shipped(tmp_path / "data")
    assert store.keys() == traffic.scorable.keys()
    assert set(store.values()) == {1}
