"""What the system tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import engines
from tests import toy as toys
from tests.engines import Engine
from tests.streams import Traffic, create_streams, stream_scorer
from tests.toy import Scorer, Toy


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A running ministack with the three streams, four shards each."""
    engine = engines.ministack(tmp_path / "engine")
    with engine.running():
        create_streams(engine.client(), 4)
        yield engine


@pytest.fixture
def scorer(engine: Engine, toy: Toy, tmp_path: Path) -> Scorer:
    """A stream scorer of that engine, not started."""
    return stream_scorer(tmp_path / "data", toys.cache_in(tmp_path / "data", toy), engine.address)


@pytest.fixture
def traffic(toy: Toy) -> Traffic:
    """Records, one in a hundred of which cannot be scored."""
    return Traffic(toys.records(toy.use_case, 200))
