"""Drift of the serving run starts a training, once per cool-down, also across restarts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import requests

from monitoring.evidently_service.retraining import DEPLOYMENT, TAG, Retraining, warn_of_same_models
from scorehouse.prefect import Prefect
from scorehouse.settings import Settings

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class FakePrefect(Prefect):
    """A server that remembers what it started and when."""

    def __init__(self, clock: list[datetime]):
        super().__init__("http://prefect/api")
        self.clock, self.started, self.away = clock, list[tuple[datetime, str]](), False

    def was_started(self, deployment: str, tag: str, since: datetime) -> bool:
        assert (deployment, tag) == (DEPLOYMENT, TAG)
        if self.away:
            raise requests.ConnectionError("away")
        return any(at > since for at, _ in self.started)

    def start(self, deployment: str, tag: str, reason: str) -> str:
        self.started.append((self.clock[0], reason))
        return "id"


class House:
    """A clock, Prefect, and the columns that drift."""

    def __init__(self) -> None:
        self.clock, self.columns = [NOON], ("card", "limit")
        self.prefect = FakePrefect(self.clock)
        self.retraining = self.restarted()

    def restarted(self) -> Retraining:
        return Retraining("churn", self.prefect, DAY, lambda: self.columns, lambda: self.clock[0])

    def later(self, passed: timedelta) -> None:
        self.clock[0] += passed


@pytest.fixture
def house() -> House:
    return House()


def test_drift_starts_a_training_and_says_why(house: House) -> None:
    assert house.retraining.poll() == "id"
    assert house.prefect.started == [(NOON, "drift in card, limit")]


def test_without_drift_nothing_is_started(house: House) -> None:
    house.columns = ()
    assert house.retraining.poll() is None
    assert house.prefect.started == []


def test_drift_that_lasts_starts_one_training_per_cool_down_even_across_restarts(house: House) -> None:
    for hours in range(49):
        retraining = house.restarted() if hours % 5 == 0 else house.retraining
        retraining.poll()
        house.later(timedelta(hours=1))
    assert [at for at, _ in house.prefect.started] == [NOON, NOON + DAY, NOON + 2 * DAY]


def test_while_prefect_is_down_nothing_is_lost(house: House) -> None:
    house.prefect.away = True
    with pytest.raises(requests.ConnectionError):
        house.retraining.poll()
    house.prefect.away = False
    assert house.retraining.poll() == "id"


@pytest.mark.parametrize(("drift", "outcomes", "warned"), [(True, False, True), (True, True, False), (False,) * 3])
def test_retraining_on_the_same_table_is_said_in_one_line_at_start(
    drift: bool, outcomes: bool, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_same_models(Settings(retrain_on_drift=drift, train_on_outcomes=outcomes))
    assert [r.levelname for r in caplog.records] == ["WARNING"] * warned
    assert not warned or "TRAIN_ON_OUTCOMES is false" in caplog.text
