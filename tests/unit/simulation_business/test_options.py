"""The command-line options of the simulators."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest

from scorehouse.errors import SettingError
from scorehouse.settings import Settings
from simulation_business.options import make_cases, make_parser


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
