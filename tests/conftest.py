"""What many tests share: one small real model a session, and a real scorer that serves it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests import models, processes, signing
from tests.models import Model
from tests.processes import Scorer

os.environ.update(signing.environ())  # for every process that a test starts


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A churn model that the product trained on a few sample rows, and its bundle on disk."""
    return models.train(tmp_path_factory.mktemp("toy") / "bundle")


@pytest.fixture(scope="session")
def toy_scorer(toy: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    """A running scorer (`.url`) that serves the toy from its cache; do not kill it, because many tests share it."""
    folder = tmp_path_factory.mktemp("scorer")
    scorer = processes.scorer(folder, models.cache_in(folder, toy))
    with processes.running(scorer):
        yield scorer


@pytest.fixture(scope="session")
def toy_records() -> list[dict[str, Any]]:
    """200 valid records."""
    return models.records("churn", 200)
