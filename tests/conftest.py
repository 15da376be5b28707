"""What many tests share: one small real model a session, and a real scorer around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import toy as toys
from tests.toy import Scorer, Toy


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A churn model trained by the real path on a few sample rows, and its bundle on disk."""
    return toys.train(tmp_path_factory.mktemp("toy") / "bundle")


@pytest.fixture(scope="session")
def toy_scorer(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    """A running scorer (`.url`) that serves the toy from its cache; do not kill this one, many tests share it."""
    folder = tmp_path_factory.mktemp("scorer")
    scorer = toys.scorer(folder, toys.cache_in(folder, toy))
    with toys.running(scorer):
        yield scorer


@pytest.fixture(scope="session")
def toy_records(toy: Toy) -> list[dict[str, Any]]:
    """200 valid records."""
    return toys.records(toy.use_case, 200)
