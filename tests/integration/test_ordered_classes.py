"""Ordered classes by the default estimators: trained, served and explained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import use_cases
from scorehouse.serving.serving import Model
from tests import doors, toy
from tests.doors import Door
from tests.toy import Toy

PAGE = """
import numpy as np

from scorehouse.usecase import Feature, UseCase

FEATURES = (
    Feature(name="sugar", kind="number", required=True, low=0, high=100, help="Sugar", example=5.0),
    Feature(name="acid", kind="number", required=True, low=0, high=100, help="Acid", example=5.0),
)


def sample(rows, seed, drift=0.0):
    rng = np.random.default_rng(seed)
    sugar, acid = rng.uniform(0, 10, rows), rng.uniform(0, 10, rows)
    mark = np.clip(np.round((sugar - acid) / 4 + rng.normal(0, 0.3, rows)) + 5, 3, 7)
    return {"number": np.arange(rows), "sugar": sugar, "acid": acid, "mark": np.where(mark == 7, 9, mark)}


use_case = UseCase(
    name="juices", version=1, title="How good is it?", about="A juice.", source="Generated", features=FEATURES,
    target="mark", task="ordinal", answer="mark", key="number", clean=lambda table: table, sample=sample, trials=3,
)
"""


@pytest.fixture(scope="module")
def juices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    folder = tmp_path_factory.mktemp("juices")
    (folder / "juices.py").write_text(PAGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(use_cases, "__path__", [*use_cases.__path__, str(folder)])
        yield toy.train(folder / "bundle", use_case="juices", rows=1_500, trials=3)


@pytest.fixture
def door(juices: Toy, tmp_path: Path) -> Door:
    opened, bundle = doors.empty_door(juices.use_case, tmp_path), juices.bundle()
    opened.serving.model = Model(bundle, bundle.scorer(juices.use_case))
    return opened


def test_the_answer_is_one_of_the_classes_as_a_whole_number(juices: Toy, door: Door) -> None:
    assert juices.bundle().manifest.family == "xgboost"
    assert juices.trained.quality["test_kappa"] > 0.85
    marks = [door.client.post("/predict", json={"sugar": s, "acid": 5}).json["mark"] for s in range(11)]
    assert [type(mark) for mark in marks] == [int] * 11
    assert marks == sorted(marks)
    best = door.client.post("/predict", json={"sugar": 10, "acid": 0}).json["mark"]
    worst = door.client.post("/predict", json={"sugar": 0, "acid": 10}).json["mark"]
    assert (worst, best) == (3, 9)  # no juice has the mark 8


def test_contributions_add_up_to_the_amount_before_it_is_rounded(door: Door) -> None:
    record = {"sugar": 8.0, "acid": 5.0}
    explained = door.client.post("/explain", json=record).json
    amount = explained["base"] + sum(c["contribution"] for c in explained["contributions"])
    classes = np.array([3, 4, 5, 6, 9])
    assert explained["scale"] == "before rounding"
    assert explained["mark"] == classes[np.abs(classes - amount).argmin()]
    document = door.client.get("/openapi.json").json
    schema = document["components"]["schemas"]["Explanation"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(explained)
