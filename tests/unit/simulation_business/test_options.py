"""The command-line options of the simulators."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

import orjson
import pandas as pd
import pytest

from scorehouse.errors import SettingError, TableError, UseCaseError
from scorehouse.pages.loading import load_use_case
from scorehouse.settings import Settings
from simulation_business import options
from simulation_business.options import NothingToSend, make_cases, make_parser, wait_for_nothing
from simulation_business.traffic.traffic import generate_rows
from tests.processes import ROOT

CHURN: Any = load_use_case("churn")


def read(*arguments: str):
    return make_parser("http", 50, "").parse_args(arguments)


def test_drift_in_seconds_begins_at_the_record_that_is_due_then():
    seconds = read("--profile", "drift", "--rate", "40", "--drift-after", "10s", "--drift-over", "5s", "--seed", "3")
    records = read("--profile", "drift", "--drift-after", "400", "--drift-over", "200", "--seed", "3")
    one, same = (list(islice(make_cases(o, Settings(), Random(1)), 800)) for o in (seconds, records))
    assert one == same


def test_each_run_has_a_seed_of_its_own_unless_one_is_given():
    one, other = read(), read()
    make_cases(one, Settings(), Random(1))
    make_cases(other, Settings(), Random(2))
    assert one.seed != other.seed


@pytest.mark.parametrize(
    "wrong", [["--rate", "0"], ["--count", "-1"], ["--required-only", "2"], ["--profile", "strange"]]
)
def test_a_wrong_option_ends_with_status_2(wrong: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        read(*wrong)
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_drift_of_a_table_and_a_bad_number_are_refused():
    for wrong in (["--data", "x.csv"], ["--drift-after", "soon"]):
        with pytest.raises(SettingError):
            make_cases(read("--profile", "drift", *wrong), Settings(), Random(1))


def test_with_a_table_its_unseen_rows_are_sent_whole_and_what_drifts_is_named(tmp_path: Path):
    pd.DataFrame(load_use_case("flights").sample(4000, 1, 0.0)).to_csv(tmp_path / "table.csv", index=False)
    settings = Settings(use_case="flights", data=str(tmp_path / "table.csv"))
    usual, drifting = read("--seed", "3"), read("--seed", "3", "--profile", "drift", "--drift-over", "1")
    one, other = (list(islice(make_cases(o, settings, Random(1)), 300)) for o in (usual, drifting))
    assert usual.about == {"rows": f"the 615 rows of {tmp_path}/table.csv that training never saw"}
    assert drifting.about["rows"] == usual.about["rows"] and "(" in drifting.about["drift"]
    assert [c.customer_id for c in one] == [c.customer_id for c in other]
    assert sum(a.body != b.body for a, b in zip(one, other, strict=True)) > 150
    assert all(len(orjson.loads(c.body)) == len(orjson.loads(one[0].body)) for c in one), "none is without its optional"


def test_a_table_that_is_not_there_is_named_in_one_line():
    with pytest.raises(TableError, match=r"^cannot read the table at nowhere\.csv: No such file .*; set DATA to where"):
        make_cases(read(), Settings(data="nowhere.csv"), Random(1))


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Gives churn another sample."""

    def give(sample: Any) -> None:
        monkeypatch.setattr(options, "load_use_case", lambda name: replace(load_use_case(name), sample=sample))

    return give


def test_a_page_without_a_sample_has_nothing_to_send_and_says_what_would_be_sent(page: Callable[[Any], None]):
    page(None)
    with pytest.raises(
        NothingToSend, match=r"^churn has no table and no sample, so nothing is sent: set DATA to your table$"
    ):
        make_cases(read(), Settings(), Random(1))


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (lambda rows, seed, drift: {}, "clean cannot read its own sample: KeyError: 'attrition_flag'"),
        (lambda rows, seed, drift: CHURN.sample(0, seed, drift), r"sample\(200, …\) gives no rows, so nothing can be"),
        (
            lambda rows, seed, drift: {**CHURN.sample(rows, seed, drift), "Gender": [1]},
            "returns columns of different lengths",
        ),
        (lambda rows, seed, drift: 1 / 0, r"sample\(200, \d+, 0\) raises ZeroDivisionError: division by zero"),
        (lambda rows, seed, drift: None, "returns NoneType, not a dict of columns"),
        (lambda rows, seed, drift: {"a": [1, 2], "b": [1]}, "columns of different lengths: {'a': 2, 'b': 1}"),
    ],
)
def test_a_sample_that_gives_nothing_to_send_ends_the_traffic_with_the_reason(
    sample: Any, words: str, page: Callable[[Any], None]
):
    page(sample)
    cases = make_cases(read("--seed", "1"), Settings(), Random(1))
    with pytest.raises(UseCaseError, match=words) as ended:
        next(cases)
    assert str(ended.value).startswith("use_cases/churn.py: ")
    assert "\n" not in str(ended.value)


def test_a_sample_whose_rows_lack_a_required_feature_is_named(page: Callable[[Any], None]):
    lacking = replace(CHURN, clean=lambda table: CHURN.clean(table).drop(columns="gender"))
    with pytest.raises(UseCaseError, match="sample gives no 'gender', which every record needs"):
        next(generate_rows(lacking, 1))


SPINNING = """
import sys, time
from dataclasses import replace
from simulation_business import http, options
loaded = options.load_use_case("churn")

def forever(rows, seed, drift):
    print("spinning", flush=True)
    while True:
        pass

options.load_use_case = lambda name: replace(loaded, sample=forever)
options.STOP_SECONDS = 1
http.ScorerClient.wait_ready = lambda *_: True
http.main()
"""


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGTERM, signal.SIGTERM]])
def test_a_signal_ends_a_simulator_whose_sample_takes_forever(signals: list[signal.Signals]):
    process = subprocess.Popen([sys.executable, "-c", SPINNING], stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout
        assert process.stdout.readline() == b"spinning\n"
        for sign in signals:
            process.send_signal(sign)
        assert process.wait(20) in {-signal.SIGALRM, -signal.SIGTERM}
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_nothing_to_send_ends_with_status_0_or_waits_for_the_signal(capsys: pytest.CaptureFixture[str]):
    stop = Event()
    assert wait_for_nothing(NothingToSend("why"), read(), stop) == 0
    assert capsys.readouterr().err == "simulation: why\n"
    waiting = Thread(target=wait_for_nothing, args=(NothingToSend("why"), read("--keep-running"), stop))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    stop.set()
    waiting.join(5)
    assert not waiting.is_alive()
