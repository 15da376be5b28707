"""`make use-case`: one command from a table to a page that trains, and a report that opens offline."""

from __future__ import annotations

import os
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import use_cases
from model_orchestration.tables.outcomes import read_training_table
from model_orchestration.training.training import Training
from scorehouse.pages.loading import load_use_case
from scorehouse.settings import Settings
from tests.processes import ROOT


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in `folder`, as make does in the checkout."""
    return subprocess.run(
        [sys.executable, "-m", "model_orchestration.inspection", *words], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "COLUMNS": "200"}, check=False, timeout=180,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for pages, and a table of people who left or stayed."""
    rng = np.random.default_rng(0)
    age, city = rng.integers(18, 90, 400), rng.choice(["Leeds", "York"], 400)
    left = np.where(rng.random(400) < age / 100, "yes", "no")
    hostile = rng.choice(["a</script><script>alert(1)</script>", "b"], 400)
    columns = {
        "id": range(1, 401),
        "age": age,
        "city": city,
        "left": left,
        "gone": left,
        "</script><b>": hostile,
        "[/red] [x]": age % 7,
    }
    table = pd.DataFrame(columns)
    table.to_csv(tmp_path / "people.csv", index=False)
    (tmp_path / "use_cases").mkdir()
    return tmp_path


def test_one_command_writes_a_page_that_trains_and_a_report(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(folder, "people.csv", "left")
    assert done.returncode == 0, done.stderr
    assert "leak: it says left in other words, in every row" in done.stdout
    assert "wrote use_cases/people.py: check its guesses" in done.stdout
    assert "next: USE_CASE=people make demo" in done.stdout
    report = (folder / "var" / "inspections" / "people.html").read_text()
    assert "people.csv" in report and "<iframe" in report and 'src="http' not in report
    decisions, _, profile = report.partition('srcdoc="')
    assert "<script" not in decisions and "<script>alert" not in unescape(profile.partition('"></iframe>')[0])
    monkeypatch.setattr(use_cases, "__path__", [*use_cases.__path__, str(folder / "use_cases")])
    case = load_use_case("people")
    monkeypatch.chdir(folder)
    assert case.table_at("") == "people.csv" and case.table_at("other.csv") == "other.csv"
    training = Training(case, read_training_table(case, Settings()))
    trained = training.retrain(training.best(list(training.search(3)), 1)[0])
    assert 0.6 < trained.quality["test_auc"] < 1
    same = run(folder, "people.csv", "left")
    assert "use_cases/people.py is there already and would not change" in same.stdout and "wrote" not in same.stdout
    again = run(folder, "people.csv", "age")
    assert "use_cases/people.py is there already and was left as it is" in again.stdout
    assert '-    target="left",' in again.stdout and '+    target="age",' in again.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("people.csv",), "use-case: choose what to predict, such as TARGET='[/red] [x]':"),
        (("people.csv", "left", "--name", "../x"), "use-case: NAME is '../x': use small letters, digits and _"),
        (("", ""), "use-case: TABLE is missing: make use-case TABLE=people.csv TARGET=column"),
        (("nowhere.csv", "left"), "use-case: nowhere.csv cannot be read: No such file or directory"),
        (("people.csv", "lef"), "use-case: no column is called 'lef'; did you mean 'left'?"),
    ],
)
def test_what_is_missing_is_told_without_a_traceback(folder: Path, words: tuple[str, ...], said: str) -> None:
    done = run(folder, *words)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
