"""What the demo does with a page that has no sample."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from demo.__main__ import Demo, require_rows
from demo.processes import DemoError, environment
from scorehouse.pages.loading import load_use_case
from scorehouse.settings import Settings

CHURN = load_use_case("churn")
BARE = replace(CHURN, sample=None)


def test_without_a_sample_and_without_a_table_it_says_what_to_type_before_anything_is_started() -> None:
    with pytest.raises(DemoError, match=r"name your table, as in `USE_CASE=churn DATA=path/to/table\.csv make demo`$"):
        require_rows(BARE, Settings())
    require_rows(CHURN, Settings())


def test_a_table_that_is_not_there_is_named_before_anything_is_started(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a\n1\n")
    own = replace(BARE, table=str(tmp_path / "table.csv"))
    require_rows(own, Settings())
    with pytest.raises(DemoError, match=r"^DATA names the table elsewhere\.csv, but there is no such file: name yours"):
        require_rows(own, Settings(data="elsewhere.csv"))
    with pytest.raises(DemoError, match=r"^use_cases/churn\.py names the table gone\.csv, but there is no such file"):
        require_rows(replace(BARE, table="gone.csv"), Settings())


def test_it_says_what_was_sent_and_what_drifted(tmp_path: Path) -> None:
    answered = {
        "answered": 1,
        "sent": 1,
        "p99_ms": 1.0,
        "outcomes sent": 1,
        "rows": "made rows",
        "drift": "age (higher)",
    }
    processes = Mock(**{"run.return_value": json.dumps(answered)})
    demo = Demo(BARE, tmp_path, Settings(), set(), Mock(), processes)
    said = demo.send_traffic("run")
    assert said["traffic"] == "made rows"
    assert said["drift"] == "1 drifting records fired the alert: age (higher)"


def test_where_nothing_can_drift_it_waits_for_no_alert(tmp_path: Path) -> None:
    processes = Mock(**{"run.return_value": ""})
    demo = Demo(BARE, tmp_path, Settings(), set(), Mock(), processes)
    assert demo.let_it_drift("run").startswith("none: no feature that could drift")
    processes.wait_for.assert_not_called()


def test_the_demo_links_to_no_dashboard_even_if_the_shell_names_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPOSE_PROFILES", "grafana")
    monkeypatch.setattr("demo.processes.make_key", lambda root: None)
    monkeypatch.setattr("demo.processes.signing_variables", lambda root: {})
    assert environment(Path("var"), "churn")["COMPOSE_PROFILES"] == ""
