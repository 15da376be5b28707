"""What a person rolled back from does not return by itself: not by a start, a training or the promotion rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests import servers
from tests.models import Model
from tests.processes import until
from tests.system.running_stack import RunningStack


def start(stack: RunningStack, run_id: str, env: str = "local") -> CompletedProcess[str]:
    """Do what `make up` and `make start-serve` do with RUN_ID in an env file, once the doors run."""
    done = stack.command("server.deploy", "--if-changed", RUN_ID=run_id, RUN_ID_IN_FILES=f"{env}:{run_id}")
    assert done.returncode == 0, done.stderr
    return done


def test_a_request_is_carried_out_when_it_changes_and_not_again(stack: RunningStack, toy: Model) -> None:
    first, second, third = (stack.mlflow.with_bundle(toy) for _ in range(3))
    assert f"all doors are serving run {first} " in start(stack, first).stdout
    start(stack, second)
    assert stack.served() == {second}
    back = stack.command("server.rollback", WHY="it answers nonsense", RUN_ID_IN_FILES=f"local:{second}")
    assert f"all doors are serving run {first} again" in back.stdout, back.stderr

    again = start(stack, second)
    assert f"all doors are serving run {first} " in again.stdout
    assert f"RUN_ID={second} is not deployed, because it was deployed before" in again.stdout
    assert "held by a test (it answers nonsense): no promotion until `make lift-hold`" in again.stdout
    assert "it answers nonsense" in stack.command("server.deployments").stdout.splitlines()[-1]
    assert f"all doors are serving run {first} " in start(stack, "").stdout, "an empty RUN_ID changes nothing"
    assert stack.served() == {first}

    start(stack, third)
    assert stack.served() == {third}, "another RUN_ID is a person's decision"
    assert "held" not in stack.command("server.deployments").stdout.splitlines()[-1]
    assert stack.deploy(second).returncode == 0, "so is a deployment by name"
    assert f"RUN_ID={third} is not deployed" in start(stack, third).stdout
    assert stack.served() == {second}


def test_an_upgraded_stack_takes_the_run_in_its_env_file_as_carried_out(stack: RunningStack, toy: Model) -> None:
    first, second = (stack.mlflow.with_bundle(toy) for _ in range(2))
    for run_id in (first, second):  # as by a version that remembered no request
        assert stack.deploy(run_id).returncode == 0
    assert stack.command("server.rollback").returncode == 0
    start(stack, second, env="upgraded")
    assert stack.served() == {first}
    third = stack.mlflow.with_bundle(toy)
    start(stack, third, env="another")
    assert stack.served() == {third}


@pytest.fixture
def train(stack: RunningStack, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Train as the schedule does, with AUTO_PROMOTE; return the run that was registered."""

    def once() -> str:
        environ = {"AUTO_PROMOTE": "true", "TRIALS": "2", "PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": api}
        done = stack.command("model_orchestration.train", seconds=400, **environ)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout.split()[-1]

    with servers.prefect(tmp_path).running() as server:
        api = f"{server.address}/api"
        yield once


def test_a_run_that_was_rolled_back_is_not_promoted_by_the_next_training(
    stack: RunningStack, toy: Model, train: Callable[[], str]
) -> None:
    champion = stack.mlflow.with_bundle(toy)
    stack.mlflow.alias("production", champion)
    start(stack, "production")
    left = train()
    until(lambda: stack.served() == {left}, 20, "the trained run is promoted and served")

    rolled = stack.command("server.rollback", RUN_ID_IN_FILES="local:production")
    assert rolled.returncode == 0 and stack.served() == {champion}, rolled.stderr
    start(stack, "production")
    assert stack.served() == {champion}
    sibling = train()
    stack.command("model_orchestration.promote", sibling)
    assert stack.mlflow.served() == champion, "while it is held, no rule promotes anything"

    assert f"never of run {left}" in stack.command("server.lift_hold").stdout
    assert "there is no hold" in stack.command("server.lift_hold").stdout
    stack.command("model_orchestration.promote", left)
    assert stack.mlflow.served() == champion, "no rule promotes a run that somebody rolled back from"
    done = stack.command("model_orchestration.promote", sibling)
    until(lambda: stack.served() == {sibling}, 20, f"another run is promoted: {done.stdout}{done.stderr}")
