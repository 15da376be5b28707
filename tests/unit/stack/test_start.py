"""What a start trains and deploys: RUN_ID in a file is a request, in the shell an order, and what serves stays."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from scorehouse.errors import RunNotFound
from scorehouse.registry.client import Registry, Version
from stack import __main__ as commands
from stack.__main__ import Stack
from stack.environment import ROOT, environment

RUN, TRAINED = "0123456789abcdef" * 2, "f" * 32


class FakeCompose:
    """Services that are healthy at once."""

    def __init__(self, *_: object, **__: object):
        """Start nothing."""

    def services(self) -> set[str]:
        return {"scorer", "mongodb"}

    def output(self, *_: str) -> str:
        return ""

    def build(self) -> None:
        """Build nothing."""

    start = build

    def wait(self, *_: object) -> None:
        """Wait for nothing."""

    run = wait


class FakeRegistry(Registry):
    """A registry that names one run, or none."""

    serves = ""

    def served(self, use_case: str) -> Version:
        if not self.serves:
            raise RunNotFound(f"no model named {use_case} is registered in MLflow yet")
        return Version("1", self.serves, None)


Up = Callable[..., list[str]]


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Up:
    """Return what `make up` does, given RUN_ID in the file and in the shell, and the run that serves."""
    for name in (".env", ".env.local"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / ".secrets.env").write_text("")
    done: list[str] = []
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    monkeypatch.setattr(commands, "make_secrets", list)
    monkeypatch.setattr(commands, "settings_of", lambda _: {"KEYS_FOLDER": str(tmp_path / ".keys")})
    monkeypatch.setattr(commands, "adopt_old_keys", lambda _: [])
    monkeypatch.setattr(commands, "Compose", FakeCompose)
    monkeypatch.setattr(commands, "Registry", FakeRegistry)
    monkeypatch.setattr(commands, "apply", lambda *_, **__: ("every three hours", "flow-run"))
    monkeypatch.setattr(commands, "await_doors", lambda *_: None)
    monkeypatch.setattr(commands, "require_login", lambda *_: None)
    monkeypatch.setattr(commands, "await_training", lambda *_: done.append("train") or TRAINED)

    def run_here(stack: Stack, *words: str) -> str:
        if words[0] == "server.deploy":
            done.append(" ".join((*words, stack._env["RUN_ID"], stack._env["RUN_ID_IN_FILES"])))
        return ""

    monkeypatch.setattr(Stack, "_run_here", run_here)

    def make_up(file: str = "", shell: str = "", serves: str = "") -> list[str]:
        done.clear()
        (tmp_path / ".env.local.machine").write_text(f"RUN_ID={file}\n")
        monkeypatch.setenv("RUN_ID", shell)
        monkeypatch.setattr(FakeRegistry, "serves", serves)
        monkeypatch.setattr(commands, "environment", lambda name: environment(name, {"RUN_ID": shell}, tmp_path))
        before = (tmp_path / ".env.local").read_bytes()
        Stack("local", Console(file=io.StringIO())).up()
        assert (tmp_path / ".env.local").read_bytes() == before, "our code writes no tracked file"
        return done

    return make_up


def test_a_new_stack_trains_and_deploys_the_result(up: Up) -> None:
    assert up() == ["train", f"server.deploy {TRAINED} local:"]


def test_what_serves_stays_without_a_training(up: Up) -> None:
    assert up(serves=RUN) == ["server.deploy --if-changed  local:"]


def test_run_id_of_a_file_is_a_request_and_that_of_the_shell_an_order(up: Up) -> None:
    for serves in ("", TRAINED):
        assert up(file=RUN, serves=serves) == [f"server.deploy --if-changed {RUN} local:{RUN}"]
        assert up(file=RUN, shell=TRAINED, serves=serves) == [f"server.deploy {TRAINED} local:{RUN}"]
