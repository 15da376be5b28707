"""The promotion rule over many trainings: equal models are hardly ever promoted, a truly better one is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model_orchestration.promotion import comparison
from model_orchestration.promotion.comparison import Promotion
from model_orchestration.tables.training_table import TrainingTable, prepare
from scorehouse.pages.loading import load_use_case
from scorehouse.registry.client import Version
from scorehouse.scoring.quality import quality_by
from tests.toy import Toy
from tests.unit.model_orchestration.promotion.fakes import FakeCache, FakeRegistry

CASE = load_use_case("churn")
NOISE = 0.4  # in log odds, of each model's own error: its log losses then differ as those of real trainings do
TRAININGS = 100


@pytest.fixture(scope="module")
def table() -> TrainingTable:
    return prepare(pd.DataFrame(CASE.sample(10_000, 1, 0.0)), CASE)


class House:
    """Trainings on one table: every model knows the true chance, but for an error of its own."""

    def __init__(self, table: TrainingTable, toy: Toy, folder: Path, seed: int):
        self.rng = np.random.default_rng(seed)
        self.registry = FakeRegistry()
        self.cache = FakeCache(folder, self.registry, toy)
        self.log_odds = self.rng.normal(-2.6, 2.6, len(table.records))
        truth = (self.rng.random(len(self.log_odds)) < 1 / (1 + np.exp(-self.log_odds))).astype(float)
        self.table = replace(table, truth=truth)
        self.promotion = Promotion(CASE, self.table, 0, self.registry, self.cache)
        self.number = 0

    def train(self, noise: float = NOISE, offset: float = 0.0) -> float:
        """Train, judge and promote by the rule alone; return the model's log loss over all rows."""
        self.number += 1
        version = Version(str(self.number), f"{self.number:032x}", None)
        guesses = 1 / (1 + np.exp(-self.log_odds - offset - self.rng.normal(0, noise, len(self.log_odds))))
        self.cache.errors[version] = {
            id(r): p for r, p in zip(self.table.records, guesses.tolist(), strict=True)
        }  # fmt: skip
        self.promotion.promote(self.promotion.judge(version), "")
        return float(quality_by("log_loss", "binary", self.table.truth, guesses) or 0)

    @property
    def champion(self) -> int:
        return int(self.registry.aliases["production"].number)


@pytest.fixture(autouse=True)
def one_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the metric of the rule is computed: the others take most of the time and decide nothing."""
    monkeypatch.setattr(
        comparison, "quality", lambda task, t, p: {"log_loss": quality_by("log_loss", task, t, p)}
    )  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_of_a_hundred_equal_models_at_most_one_is_promoted(
    table: TrainingTable, toy: Toy, tmp_path: Path, seed: int
) -> None:
    house = House(table, toy, tmp_path, seed)
    champions = set()
    for _ in range(TRAININGS):
        house.train()
        champions.add(house.champion)
    assert len(champions - {1}) <= 1
    assert sum(house.registry.uses) == TRAININGS - 1


def test_a_model_that_is_better_by_two_margins_is_promoted(table: TrainingTable, toy: Toy, tmp_path: Path) -> None:
    house = House(table, toy, tmp_path, seed=3)
    theirs = house.train(noise=1.05)
    gains = []
    while house.champion == 1 and house.number < 4:  # one judgement may be unlucky
        gains.append(1 - house.train() / theirs)
    assert house.champion > 1
    assert all(2 * CASE.promote_margin <= gain < 3 * CASE.promote_margin for gain in gains), gains
