"""The table of deployments, and the waiting for every door."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scorehouse.registry.client import Version
from scorehouse.registry.history import Change
from scorehouse.settings import Settings
from server import rollout as doors
from server.deployments import HEAD, rows, span, table
from server.rollout import NotFollowed, Refused, addresses, wait_for

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
A, B = Version("1", "a" * 32, None), Version("2", "b" * 32, None)
OLD, NEW = "a" * 32, "b" * 32


def test_the_newest_stands_first_with_how_long_each_served() -> None:
    changes = [Change(NOON, A, "ada", "first"), Change(NOON + timedelta(hours=2), B, "bob", "better")]
    newest, oldest = rows(changes, B, NOON + timedelta(days=3))
    assert newest == ("2026-11-21 14:00:00", "now, 2 d 22 h", "2", B.run_id, "bob", "better")
    assert oldest == ("2026-11-21 12:00:00", "2 h 0 min", "1", A.run_id, "ada", "first")


def test_what_the_registry_names_but_nobody_wrote_down_stands_on_top() -> None:
    first, second = rows([Change(NOON, A, "ada", "first")], B, NOON + timedelta(minutes=1))
    assert first[:3] == ("?", "now", "2") and first[4] == "MLflow"
    assert not second[1].startswith("now")


def test_without_any_change_there_are_no_lines() -> None:
    assert rows([], None, NOON) == []


def test_durations_are_told_in_their_two_largest_units() -> None:
    assert [span(timedelta(seconds=s)) for s in (0, 59, 61, 3600, 90_000)] == [
        "0 s", "59 s", "1 min 1 s", "1 h 0 min", "1 d 1 h",
    ]  # fmt: skip


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    lines = table([HEAD, ("1", "2", "3", "4", "a long name", "why")]).splitlines()
    assert lines[0].index("WHY") == lines[1].index("why")


def test_the_usual_doors_are_the_three_of_the_serving_host_and_others_may_be_named() -> None:
    usual = Settings(serve_address="10.0.0.7", scorer_port=1, stream_metrics_port=2, monitor_port=3)
    assert addresses(usual) == ["http://10.0.0.7:1", "http://10.0.0.7:2", "http://10.0.0.7:3"]
    assert addresses(Settings(doors="http://a:1/, http://b:2")) == ["http://a:1", "http://b:2"]


class Doors:
    """Doors that say what a list says, look by look, and a clock that goes on with each sleep."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **said: list[dict[str, Any]]):
        self.said, self.now = said, 0.0
        monkeypatch.setattr(doors, "ask", self.ask)

    def ask(self, door: str, headers: dict[str, str]) -> dict[str, Any]:
        return self.said[door].pop(0) if len(self.said[door]) > 1 else self.said[door][0]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, **before: str) -> float:
        return wait_for(NEW, list(self.said), before, {}, lambda: self.now, self.sleep)


def test_the_seconds_are_those_of_the_last_door(monkeypatch: pytest.MonkeyPatch) -> None:
    late = [{"model_run_id": OLD}] * 5 + [{"model_run_id": NEW}]
    assert Doors(monkeypatch, http=[{"model_run_id": NEW}], stream=late).wait() == pytest.approx(1.0)


def test_a_refusal_that_stays_ends_the_waiting_and_an_older_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = {"model_run_id": OLD, "refused": "it is damaged"}
    with pytest.raises(Refused, match="http rejected the run: it is damaged"):
        Doors(monkeypatch, http=[refusing]).wait()
    passing = [refusing] * 10 + [{"model_run_id": NEW}]  # of what was wanted before: it was asked just then
    assert Doors(monkeypatch, http=passing).wait() == pytest.approx(2.0)
    assert Doors(monkeypatch, http=[refusing, {"model_run_id": NEW}]).wait(http="it is damaged") < 1


def test_who_did_not_follow_is_named_and_who_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFollowed, match=f"^http is still serving run {OLD}; stream is not responding$"):
        Doors(monkeypatch, http=[{"model_run_id": OLD}], stream=[{}], monitor=[{"model_run_id": NEW}]).wait()
