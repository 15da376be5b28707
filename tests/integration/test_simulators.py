"""The simulators as a person starts them, against a real scorer, a real stream and the stream scorer."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_orchestration.tables.training_table import TEST, assign_splits, prepare, read_table
from scorehouse.pages.loading import load_use_case
from tests import toy as toys
from tests.engines import Engine, ministack
from tests.streams import create_streams, stream_scorer
from tests.toy import ROOT, Scorer, Toy, until


class House:
    """Both scorers on one data folder, a shipper behind them, and an engine."""

    def __init__(self, engine: Engine, scorer: Scorer, stream: Scorer, folder: Path):
        self.engine, self.scorer, self.stream, self.folder = engine, scorer, stream, folder

    def simulator(self, door: str, *arguments: str, data: str = "") -> subprocess.Popen[str]:
        environ = {
            "DATA": data,
            "KINESIS_ADDRESS": self.engine.address,
            "SCORER_PORT": self.scorer.url.rpartition(":")[2],
            "USE_CASE": "churn",
        }
        return subprocess.Popen(
            [sys.executable, "-m", f"simulation_business.{door}", *arguments],
            cwd=ROOT, env={**os.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, door: str, *arguments: str, data: str = "") -> dict[str, Any]:
        process = self.simulator(door, *arguments, "--json", data=data)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return json.loads(out)  # type: ignore[no-any-return]

    def stored(self, seed: int) -> list[tuple[str, float | None]]:
        with closing(sqlite3.connect(self.folder / "predictions.db")) as db:
            query = "SELECT prediction_id, outcome FROM predictions WHERE prediction_id LIKE ? ORDER BY prediction_id"
            return db.execute(query, [f"sim-{seed}-%"]).fetchall()


@pytest.fixture(scope="module")
def house(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    run_id = toys.cache_in(folder, toy)
    with (engine := ministack(folder / "engine")).running():
        create_streams(engine.client(), 2)
        scorer, stream = toys.scorer(folder, run_id), stream_scorer(folder, run_id, engine.address)
        with toys.running(scorer, stream, toys.shipper(folder)):
            yield House(engine, scorer, stream, folder)


def all_outcomes(house: House, seed: int, count: int) -> list[tuple[str, float | None]]:
    def there() -> list[tuple[str, float | None]]:
        stored = house.stored(seed)
        return stored if len(stored) == count and all(o is not None for _, o in stored) else []

    found: list[tuple[str, float | None]] = until(there, 30, f"{count} predictions of seed {seed} have their outcome")
    return found


def test_http_traffic_is_answered_and_the_truth_follows(house: House):
    said = house.run("http", "--rate", "400", "--count", "300", "--seed", "11", "--outcomes-after", "0.5")
    assert (said["sent"], said["answered"], said["rejected"], said["failed"]) == (300, 300, 0, 0)
    assert said["outcomes sent"] == 300
    assert 0 < said["p50_ms"] <= said["p99_ms"] <= said["slowest_ms"]
    stored = all_outcomes(house, 11, 300)
    assert {id_ for id_, _ in stored} == {f"sim-11-{n}" for n in range(300)}
    assert 0.05 < sum(outcome or 0 for _, outcome in stored) / 300 < 0.35, "about a sixth of the customers leave"


def test_the_rows_of_a_table_that_training_never_saw_are_sent_with_their_outcomes(house: House, tmp_path: Path):
    case = load_use_case("churn")
    pd.DataFrame(case.sample(4000, 9, 0.0)).to_csv(tmp_path / "table.csv", index=False)
    table = prepare(read_table(str(tmp_path / "table.csv"), case), case)
    unseen = np.flatnonzero(assign_splits(table.keys, 0, case.split) == TEST)
    known = {table.keys[i]: table.truth[i] for i in unseen}
    count, data = len(unseen), str(tmp_path / "table.csv")
    said = house.run(
        "http", "--rate", "900", "--count", str(count), "--seed", "21", "--outcomes-after", "0.5", data=data
    )
    assert said["answered"] == said["outcomes sent"] == count
    assert said["rows"] == f"the {count} rows of {data} that training never saw"
    all_outcomes(house, 21, count)
    with closing(sqlite3.connect(house.folder / "predictions.db")) as db:
        query = "SELECT customer_id, outcome FROM predictions WHERE prediction_id LIKE 'sim-21-%'"
        assert {str(customer): outcome for customer, outcome in db.execute(query)} == known
    said = house.run("kinesis", "--rate", "900", "--count", "300", "--profile", "drift", "--answers", data=data)
    assert said["answered"] == 300 and said["drift"]


def test_the_same_seed_again_changes_nothing(house: House):
    first = house.run("http", "--rate", "400", "--count", "40", "--seed", "12", "--outcomes-after", "0.1")
    before = all_outcomes(house, 12, 40)
    again = house.run("http", "--rate", "400", "--count", "40", "--seed", "12", "--outcomes-after", "0.1")
    assert first["answered"] == again["answered"] == 40
    assert all_outcomes(house, 12, 40) == before


def test_a_fifth_of_invalid_http_traffic_is_rejected_and_nothing_fails(house: House):
    said = house.run("http", "--rate", "400", "--count", "300", "--seed", "13", "--profile", "invalid")
    assert said["answered"] + said["rejected"] == 300
    assert 30 <= said["rejected"] <= 90


def test_what_is_sent_over_the_stream_comes_back_and_the_truth_follows(house: House):
    said = house.run(
        "kinesis", "--rate", "400", "--count", "300", "--seed", "14", "--profile", "invalid", "--answers",
        "--outcomes-after", "0.5",
    )  # fmt: skip
    assert said["sent"] == said["answered"] + said["rejected"] == 300
    assert 30 <= said["rejected"] <= 90
    assert said["outcomes sent"] == said["answered"]
    all_outcomes(house, 14, said["answered"])


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_simulator_that_gets_a_signal_ends_with_its_summary(house: House, sign: signal.Signals):
    process = house.simulator("http", "--rate", "50", "--seed", str(100 + sign), "--outcomes-after", "600")
    until(lambda: len(house.stored(100 + sign)) > 5, 30, "traffic is under way")
    began = time.monotonic()
    process.send_signal(sign)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert time.monotonic() - began < 5
    for words in ("HTTP traffic for churn, usual", "answered", "p99", "outcomes not yet due"):
        assert words in out


def test_a_simulator_without_a_scorer_gives_up_in_one_line(house: House):
    process = house.simulator("http", "--to", "http://127.0.0.1:9", "--ready-within", "1")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert "simulation: the scorer at http://127.0.0.1:9 was not ready within 1 s" in err
    assert err.count("\n") == 1
