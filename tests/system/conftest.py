"""What the system tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests import engines, models
from tests.engines import Engine
from tests.models import Model
from tests.processes import Scorer
from tests.streams import Outcome, Traffic, create_streams, delete_streams, stream_scorer
from tests.system import running_stack
from tests.system.browser import chromium
from tests.system.running_stack import RunningStack


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A running Chromium."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Every door, two HTTP workers, MLflow and the streams, two shards each; what serves is up to each test."""
    with running_stack.running(tmp_path_factory.mktemp("stack"), shards=2, workers=2) as stack:
        yield stack


@pytest.fixture(scope="session")
def shared_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A running ministack: use `engine`, which has streams."""
    engine = engines.ministack(tmp_path_factory.mktemp("engine"))
    with engine.running():
        yield engine


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """A running ministack with the three streams, empty, four shards each."""
    if shared_engine.process is None:  # a test that failed stopped it
        shared_engine.start()
    delete_streams(shared_engine.client())
    create_streams(shared_engine.client(), 4)
    return shared_engine


@pytest.fixture
def stream_scorer_of(toy: Model, tmp_path: Path) -> Callable[[str], Scorer]:
    """Returns a stream scorer, not started, of the Kinesis at an address."""
    return lambda address: stream_scorer(tmp_path / "data", models.cache_in(tmp_path / "data", toy), address)


@pytest.fixture
def scorer(engine: Engine, stream_scorer_of: Callable[[str], Scorer]) -> Scorer:
    """A stream scorer of `engine`, not started."""
    return stream_scorer_of(engine.address)


@pytest.fixture
def outcome(engine: Engine) -> Outcome:
    """What was published to the engine's streams."""
    return Outcome(engine.client())


@pytest.fixture
def traffic(toy_records: list[dict[str, Any]]) -> Traffic:
    """Records, one in a hundred of which cannot be scored."""
    return Traffic(toy_records)
