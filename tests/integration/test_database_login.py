"""A stack whose MongoDB refuses the password says so within seconds, and waits for no service that needs it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from stack import database
from stack.database import require_login
from stack.errors import StackError
from tests.processes import HOST, free_port
from tests.servers import BUILD_SECONDS, MONGOD, Server

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A document store that lets in the user scorehouse with the password `right`."""
    folder = tmp_path_factory.mktemp("guarded")
    subprocess.run([MONGOD, "--build"], capture_output=True, timeout=BUILD_SECONDS, check=True)
    port = free_port()
    command = [str(MONGOD), "-listen", f"{HOST}:{port}", "-data", str(folder)]
    with Server(command, f"mongodb://{HOST}:{port}", folder / "log", {"MONGODB_PASSWORD": "right"}).running() as server:
        yield server


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "REFUSED_SECONDS", 1.0)
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 5.0)


def test_the_right_password_is_let_in(guarded: Server) -> None:
    require_login({"MONGODB_PASSWORD": "right"}, QUIET, guarded.port)


def test_a_refused_password_ends_the_start_and_says_where_it_is_set(guarded: Server) -> None:
    with pytest.raises(StackError, match=r"MongoDB refuses its user scorehouse.*MONGODB_PASSWORD.*\.secrets\.env"):
        require_login({"MONGODB_PASSWORD": "p@ss/wrong"}, QUIET, guarded.port)


def test_a_store_elsewhere_is_named_by_its_setting_and_not_with_its_password(guarded: Server) -> None:
    address = f"mongodb://scorehouse:wrong@{HOST}:{guarded.port}"
    with pytest.raises(StackError, match="MONGODB_INSIDE refuses the user or the password") as caught:
        require_login({"MONGODB_INSIDE": address, "MONGODB_PASSWORD": "right"}, QUIET)
    assert "wrong" not in str(caught.value)


def test_a_store_that_this_machine_does_not_reach_is_left_to_its_health_check(tmp_path: Path) -> None:
    require_login({"MONGODB_PASSWORD": "right"}, QUIET, free_port())
