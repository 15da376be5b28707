"""A training watched from outside until it ends, through a restart of Prefect. The registry is asked for its run."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest
import requests
from rich.console import Console

from scorehouse.environment import read_settings
from scorehouse.prefect import Prefect, State
from scorehouse.registry.client import Registry
from stack import training
from stack.compose import Compose
from stack.environment import StackError
from stack.training import MOST_MISSED, apply, await_training, watch

RUNNING, COMPLETED = State("RUNNING", "Running"), State("COMPLETED", "All states completed.")
PAGE = "http://prefect"
CRASHED = State("CRASHED", "the worker died")


class FakePrefect(Prefect):
    """A server that answers with one state after the other; None stands for no answer."""

    def __init__(self, states: Iterator[State | None]):
        super().__init__("http://prefect/api")
        self.states = states

    def state(self, flow_run: str) -> State:
        assert flow_run == "flow-run"
        if (state := next(self.states)) is None:
            raise requests.ConnectionError("away")
        return state

    def last_log_line(self, flow_run: str) -> str:
        return f"log of {flow_run}"


class FakeCompose(Compose):
    """An engine whose worker prints what scheduling a flow prints."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def output(self, *words: str) -> str:
        self.commands.append(" ".join(words))
        started = "flow-run\n" if words[-1] == "--run" else ""
        return f"Successfully created\nbatch runs on demand\ntraining runs every 45 minutes\n{started}"


def test_scheduling_returns_when_the_flow_runs_and_the_run_that_it_started() -> None:
    compose = FakeCompose()
    assert apply(compose, run=True) == ("training runs every 45 minutes", "flow-run")
    assert apply(compose, run=False, module="reporting.apply") == ("training runs every 45 minutes", "")
    assert compose.commands == [
        "exec -T worker python -m model_orchestration.apply --run",
        "exec -T worker python -m reporting.apply",
    ]


def follow(*states: State | None) -> tuple[State, list[str]]:
    shown: list[str] = []
    return watch(FakePrefect(iter(states)), PAGE, "flow-run", shown.append, lambda: 0.0, lambda _: None), shown


def test_it_is_watched_until_it_ends_and_its_log_is_shown() -> None:
    assert follow(RUNNING, RUNNING, COMPLETED) == (COMPLETED, ["log of flow-run"] * 2)
    assert follow(CRASHED) == (CRASHED, [])


def test_a_restart_of_prefect_does_not_end_the_watch_but_a_long_silence_does() -> None:
    silence = [None] * MOST_MISSED
    assert follow(*silence, RUNNING, *silence, COMPLETED)[0] == COMPLETED
    with pytest.raises(StackError, match=rf"{PAGE} stopped responding \(ConnectionError\).* run the command again$"):
        follow(*silence, None)


def test_a_training_that_never_ends_is_given_up_after_a_day() -> None:
    clock = iter([0.0, 1.0, training.LONGEST_SECONDS])
    with pytest.raises(StackError, match=f"within 24 hours .* see {PAGE}; when it ends, set RUN_ID"):
        watch(FakePrefect(iter([RUNNING])), PAGE, "flow-run", lambda _: None, lambda: next(clock), lambda _: None)


@pytest.mark.parametrize(
    ("env", "prefect", "mlflow"),
    [
        ({}, "http://127.0.0.1:4200/api", "http://127.0.0.1:5051"),
        ({"CLOUD_ADDRESS": "10.0.0.7"}, "http://10.0.0.7:4200/api", "http://10.0.0.7:5051"),
        ({"PREFECT_API_URL": "https://p.example/api"}, "https://p.example/api", "http://127.0.0.1:5051"),
    ],
)
def test_the_run_is_asked_of_the_registry_where_the_settings_say_that_it_is(
    env: dict[str, str], prefect: str, mlflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def state(self: Prefect, flow_run: str) -> State:
        asked.append(self._address)
        return COMPLETED

    def newest(self: Registry, use_case: str) -> str:
        asked.extend((self.address, use_case))
        return "a" * 32

    monkeypatch.setattr(Prefect, "state", state)
    monkeypatch.setattr(Registry, "newest", newest)
    assert await_training(read_settings({"USE_CASE": "wine", **env}), "flow-run", Console(file=StringIO())) == "a" * 32
    assert asked == [prefect, mlflow, "wine"]


def test_a_training_that_fails_says_why_and_where_its_log_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Prefect, "state", lambda *_: CRASHED)
    with pytest.raises(StackError, match=r"CRASHED\): the worker died\. Its log is at http://10\.0\.0\.7:4200$"):
        await_training(read_settings({"CLOUD_ADDRESS": "10.0.0.7"}), "flow-run", Console(file=StringIO()))
