"""How the processes start, and what they print when they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import processes
from tests.processes import run, until


@pytest.mark.parametrize("module", ["server.web", "server.shipper"])
def test_a_bad_setting_ends_a_process_with_status_2_and_one_line(module: str) -> None:
    ended = run(module, SCORER_PORT="x")
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith("settings: SCORER_PORT='x'") and ended.stderr.count("\n") == 1


def test_a_use_case_that_does_not_exist_ends_the_scorer_with_one_line(tmp_path: Path) -> None:
    ended = run("server.web", USE_CASE="nowhere", DATA_FOLDER=str(tmp_path))
    assert ended.returncode == 1
    expected = "cannot serve: USE_CASE is 'nowhere', but there is no use_cases/nowhere.py; there are churn, claims, "
    assert ended.stderr.startswith(expected) and ended.stderr.count("\n") == 1


def test_a_second_shipper_of_the_same_journal_is_refused_and_the_first_keeps_running(tmp_path: Path) -> None:
    first = processes.shipper(tmp_path)
    with processes.running(first):
        until((tmp_path / "journal" / "shipper.json").exists, 60, "the first shipper works")
        ended = run("server.shipper", **{**first.environ, "SHIPPER_METRICS_PORT": str(processes.free_port())})
        assert ended.returncode == 1
        assert ended.stderr.splitlines()[-1].startswith("shipper: another shipper is already running on")
        assert first.process.poll() is None
    (tmp_path / "journal" / "shipper.json").unlink()
    with processes.running(first):
        until((tmp_path / "journal" / "shipper.json").exists, 60, "the next shipper has taken the first one's place")
