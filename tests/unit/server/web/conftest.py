"""The HTTP door of these tests, in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from scorehouse.serving.serving import Model
from tests import doors, templates
from tests.doors import Door
from tests.unit.toy import Toy

templates.share()


@pytest.fixture
def empty_door(toy: Toy, tmp_path: Path) -> Door:
    """A door that serves nothing yet."""
    return doors.empty_door(toy.use_case, tmp_path)


@pytest.fixture(scope="session")
def toy_model(toy: Toy) -> Model:
    """The toy, loaded and checked as a door loads it."""
    bundle = toy.bundle()
    return Model(bundle, bundle.scorer(toy.use_case))


@pytest.fixture
def door(empty_door: Door, toy_model: Model) -> Door:
    """A door that serves the toy."""
    empty_door.serving.model = toy_model
    return empty_door
