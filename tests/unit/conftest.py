"""What many unit tests share: one small model a session, made by hand in place of the trained one."""

from __future__ import annotations

import gc

import pytest

from tests.unit import toy as toys
from tests.unit.toy import Toy


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later garbage collection: it stays until the end anyway."""
    gc.freeze()


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A churn model made by hand, and its bundle on disk."""
    return toys.made(tmp_path_factory.mktemp("toy") / "bundle")
