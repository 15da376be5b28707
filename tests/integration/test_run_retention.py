"""Old trainings are removed from a real MLflow. What serves, served or is the newest stays, whatever its age."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from model_orchestration import flows
from model_orchestration.tracking.retention import remove_old_runs
from scorehouse.settings import Settings
from tests.servers import Server

NOW = datetime.now(UTC)


@dataclass
class House:
    """One experiment and one registered model of a name of their own."""

    client: MlflowClient
    folder: Path
    name: str = field(default_factory=lambda: f"m{uuid.uuid4().hex[:8]}")
    experiment: str = ""

    def __post_init__(self) -> None:
        self.experiment = self.client.create_experiment(self.name)
        self.client.create_registered_model(self.name)

    def training(self, days: float) -> tuple[str, str, str, str]:
        """Return the runs of a training that ended so long ago (its parent, a trial, its model), and its version."""
        parent, trial, model = (self._run(days) for _ in range(3))
        for run in (trial, model):
            self.client.set_tag(run, "mlflow.parentRunId", parent)
        (self.folder / "bundle.json").write_text("{}")
        self.client.log_artifact(model, str(self.folder / "bundle.json"), "bundle")
        logged = self.client.create_logged_model(self.experiment, source_run_id=model)
        self.client.log_model_artifact(logged.model_id, str(self.folder / "bundle.json"))
        version = self.client.create_model_version(
            self.name, f"models:/{logged.model_id}", model, model_id=logged.model_id
        )
        return parent, trial, model, str(version.version)

    def _run(self, days: float) -> str:
        run = self.started(days)
        self.client.set_terminated(run, end_time=int((NOW - timedelta(days=days)).timestamp() * 1000))
        return run

    def started(self, days: float) -> str:
        """Return a run that started an hour before `days` ago and has not ended."""
        began = NOW - timedelta(days=days, hours=1)
        run: str = self.client.create_run(self.experiment, start_time=int(began.timestamp() * 1000)).info.run_id
        return run

    def runs(self) -> set[str]:
        return {r.info.run_id for r in self.client.search_runs([self.experiment])}

    def versions(self) -> set[str]:
        return {str(v.version) for v in self.client.search_model_versions(f"name = '{self.name}'")}

    def remove_old_runs(self, days: int, *named: str) -> int:
        return remove_old_runs(self.client, self.experiment, self.name, days, NOW, named)


@pytest.fixture
def house(mlflow_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    before = mlflow.get_tracking_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.address)
    mlflow.set_tracking_uri(mlflow_server.address)
    yield House(MlflowClient(mlflow_server.address), tmp_path)
    mlflow.set_tracking_uri(before)


def test_an_old_training_goes_whole_with_its_version_and_its_files(house: House) -> None:
    *old, version = house.training(31)
    *new, newest = house.training(1)
    assert house.remove_old_runs(30) == 3
    assert house.runs() == set(new) and house.versions() == {newest}
    assert house.client.list_artifacts(old[2]) == []
    with pytest.raises(MlflowException):
        house.client.get_model_version(house.name, version)


@pytest.mark.parametrize("why", ["alias", "served", "version kept", "run kept", "named"])
def test_a_model_that_serves_or_served_or_is_kept_stays_with_its_parent_and_its_files_but_its_trials_go(
    house: House, why: str
) -> None:
    parent, trial, model, version = house.training(400)
    house.training(1)
    match why:
        case "alias":
            house.client.set_registered_model_alias(house.name, "serving", version)
        case "served":
            house.client.set_model_version_tag(house.name, version, "served.2026-01-01T00:00:00.000000Z", "{}")
        case "version kept":
            house.client.set_model_version_tag(house.name, version, "keep", "for the audit")
        case "run kept":
            house.client.set_tag(model, "keep", "for the audit")
    assert house.remove_old_runs(30, *([model] if why == "named" else [])) == 1
    assert {parent, model} < house.runs() and trial not in house.runs()
    assert [f.path for f in house.client.list_artifacts(model, "bundle")] == ["bundle/bundle.json"]


def test_a_model_whose_copy_under_another_name_has_an_alias_stays_and_one_without_goes_with_its_copy(
    house: House,
) -> None:
    other = f"{house.name}-trial"
    *_, kept, version = house.training(400)
    *_, gone, second = house.training(300)
    house.training(1)
    for number in (version, second):
        copy = house.client.copy_model_version(f"models:/{house.name}/{number}", other)
        if number == version:
            house.client.set_registered_model_alias(other, "trial", copy.version)
    house.remove_old_runs(30)
    assert kept in house.runs() and gone not in house.runs()
    assert {v.run_id for v in house.client.search_model_versions(f"name = '{other}'")} == {kept}


def test_the_newest_model_stays_however_old(house: House) -> None:
    parent, _, model, version = house.training(400)
    assert house.remove_old_runs(30) == 1
    assert house.runs() == {parent, model} and house.versions() == {version}


def test_a_run_that_never_ended_is_as_old_as_its_start(house: House) -> None:
    house.started(31)
    young = house.started(29)
    assert house.remove_old_runs(30) == 1
    assert house.runs() == {young}


def test_a_training_keeps_the_runs_that_its_settings_name() -> None:
    class Removing:
        def remove_old_runs(self, *asked: object) -> int:
            self.asked = asked
            return 3

    tracking: Any = Removing()
    settings = Settings(keep_runs_days=30, shadow_run_id="a" * 32, run_id="b" * 32)
    assert flows.remove_old_runs.fn(tracking, settings) == 3
    assert tracking.asked == (30, {"a" * 32, "b" * 32})


def test_done_again_it_finds_nothing(house: House) -> None:
    house.training(31)
    house.training(1)
    house.remove_old_runs(30)
    assert house.remove_old_runs(30) == 0
