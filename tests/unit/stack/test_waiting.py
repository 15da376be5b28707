"""Waiting ends when the services are healthy, and early with a log when one of them never will be."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO

import pytest
from requests import Response
from rich.console import Console

from scorehouse.environment import read_settings
from stack import compose
from stack.addresses import address_table
from stack.compose import MOST_FALLS, Compose, Container
from stack.errors import StackError
from stack.waiting import await_doors


class Scripted(Compose):
    """A project whose containers are those of the test, poll by poll; the last poll repeats."""

    def __init__(self, *polls: Iterable[Container]):
        self._console, self._polls, self.count = Console(quiet=True), [list(poll) for poll in polls], 0

    def containers(self) -> list[Container]:
        self.count += 1
        return self._polls[min(self.count, len(self._polls)) - 1]

    def logs(self, services: list[str]) -> str:
        return f"the log of {', '.join(services)}"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "POLL_SECONDS", 0.0)


HEALTHY = Container("scorer", "running", "healthy")
STARTING = Container("scorer", "running", "starting")
FALLEN = Container("scorer", "restarting", "")


def test_it_ends_when_all_are_healthy_whatever_others_do() -> None:
    project = Scripted([STARTING, Container("grafana", "exited", "")], [HEALTHY, Container("grafana", "exited", "")])
    project.wait({"scorer"}, seconds=60)
    assert project.count == 2


def test_a_service_without_a_check_is_healthy_when_it_runs() -> None:
    Scripted([Container("simulator-http", "running", "")]).wait({"simulator-http"}, seconds=60)


def test_a_service_that_falls_once_is_waited_for() -> None:
    Scripted([FALLEN], [STARTING], [HEALTHY]).wait({"scorer"}, seconds=60)


def test_a_service_that_does_not_stay_up_is_given_up_with_its_log() -> None:
    project = Scripted([FALLEN])
    with pytest.raises(StackError, match=r"these services keep exiting: scorer\nthe log of scorer"):
        project.wait({"scorer"}, seconds=60)
    assert project.count == MOST_FALLS + 1


def test_a_service_that_is_late_is_named_with_its_log() -> None:
    with pytest.raises(StackError, match=r"not healthy after 0 s: scorer\nthe log of scorer"):
        Scripted([STARTING]).wait({"scorer"}, seconds=0.0)


def test_a_service_that_has_no_container_is_late_as_well() -> None:
    with pytest.raises(StackError, match="not healthy after 0 s: scorer"):
        Scripted([]).wait({"scorer"}, seconds=0.0)


def test_a_log_says_now_and_then_what_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "SHOWN_SECONDS", -1.0)
    project, output = Scripted([STARTING], [HEALTHY]), StringIO()
    project._console = Console(file=output)
    project.wait({"scorer"}, seconds=60)
    assert output.getvalue() == "waiting for scorer since 0 s\n"


def test_the_gateways_address_is_https_where_it_has_a_certificate() -> None:
    for tls, scheme in ((False, "http"), (True, "https")):
        output = StringIO()
        Console(width=200, file=output).print(address_table(read_settings({}), {"gateway", "scorer"}, tls))
        assert f"{scheme}://127.0.0.1:8000" in output.getvalue() and "http://127.0.0.1:9696" in output.getvalue()


def test_the_addresses_are_those_of_the_configured_ports() -> None:
    output = StringIO()
    console = Console(width=200, file=output)
    env = {"SCORER_PORT": "9700", "MONITOR_PORT": "9701", "SERVE_ADDRESS": "10.0.0.7"}
    console.print(address_table(read_settings(env), {"scorer", "monitor", "mlflow", "mongodb"}))
    shown = output.getvalue()
    for address in (
        "http://10.0.0.7:9700/",
        "http://10.0.0.7:9701/",
        "http://127.0.0.1:5051/",
        "mongodb://10.0.0.7:27018",
    ):
        assert address in shown
    assert "9696" not in shown


def response(content: bytes) -> Response:
    made = Response()
    made._content = content
    return made


def test_a_door_is_awaited_while_only_the_gateway_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    door = b'{"model_run_id": null}'
    answers = [b'{"title": "Service Unavailable", "status": 503}', b"<html>", door, door]
    monkeypatch.setattr("stack.waiting.requests.get", lambda address, timeout: response(answers.pop(0)))
    monkeypatch.setattr("stack.waiting.time.sleep", lambda seconds: None)
    await_doors(read_settings({}), Scripted([HEALTHY]), Console(quiet=True))
    assert answers == []


def test_doors_are_awaited_on_the_configured_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(address: str, timeout: float) -> Response:
        asked.append(address)
        return response(b'{"status": "not ready", "model_run_id": null}')

    monkeypatch.setattr("stack.waiting.requests.get", answer)
    env = {"SCORER_PORT": "9700", "STREAM_METRICS_PORT": "9702"}
    await_doors(read_settings(env), Scripted([HEALTHY]), Console(quiet=True))
    assert {"http://127.0.0.1:9700/readyz", "http://127.0.0.1:9702/readyz"} <= set(asked)
    assert "http://127.0.0.1:9696/readyz" not in asked
