"""One composed stack for all of these tests, and its store."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from tests.system.composed.models import registered
from tests.system.composed.project import ENV_FILE, HOST, compose, ill, make, secrets, until, write_env_file

TRAINING_SECONDS = 400
SHOWN: list[str] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the tests want to be seen, whatever became of them."""
    for line in SHOWN:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def shown() -> list[str]:
    """Lines that are shown when all is over."""
    return SHOWN


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[str]:
    """The whole stack by its one command; what it printed. Everything is removed at the end, but images and caches."""
    engine = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    assert engine.returncode == 0, f"these tests need a container engine, and none answers: {engine.stderr.strip()}"
    write_env_file()
    try:
        try:
            said = make("up", seconds=900)
        except AssertionError as error:  # once, and not for each test
            pytest.exit(f"the stack does not come up:\n{error}", returncode=1)
        yield said
    finally:
        make("secrets", seconds=60)  # without them Compose would not even take down
        if request.session.testsfailed:
            SHOWN.extend([f"not healthy: {ill() or 'none'}", compose("logs", "--no-color", "--tail", "60", *ill())])

        compose("--profile", "*", "down", "--volumes", "--remove-orphans")
        ENV_FILE.unlink()
        ENV_FILE.with_name(f"{ENV_FILE.name}.machine").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def log(stack: str) -> Iterator[Any]:
    """The predictions in the store, as any client of MongoDB sees them."""
    address = f"mongodb://scorehouse:{secrets()['MONGODB_PASSWORD']}@{HOST}:27018"
    client: MongoClient[dict[str, Any]] = MongoClient(address, serverSelectionTimeoutMS=3000)
    yield client["scorehouse"]["predictions"]
    client.close()


@pytest.fixture(scope="session")
def runs(stack: str) -> list[str]:
    """Two trained runs."""
    if len(registered()) < 2:
        make("apply-model-train-flow", seconds=120)
        until("a second training registers its model", lambda: len(registered()) > 1, TRAINING_SECONDS)
    return registered()[:2]
