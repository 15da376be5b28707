"""What a person rolled back from does not return by itself: not by a start, a training or the promotion rule."""

from __future__ import annotations

from subprocess import CompletedProcess

from tests.models import Model
from tests.system.running_stack import RunningStack


def start(stack: RunningStack, run_id: str, env: str = "local") -> CompletedProcess[str]:
    """Do what `make up` and `make start-serve` do with RUN_ID in an env file, once the doors run."""
    environ = {"RUN_ID": run_id, "RUN_ID_IN_FILES": f"{env}:{run_id}"}
    done = stack.command("server.deploy", "--if-changed", **environ)
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
