"""Writes a training to MLflow: each trial in one batch call, and each retrained model with its bundle and plots."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import tempfile
import time
import warnings
from collections.abc import Collection
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types.schema import AnyType, ColSpec, Schema, TensorSpec

from model_orchestration.tables.training_table import SPLIT_TAG, TrainingTable, describe_split
from model_orchestration.tables.windows import TAG, count_uses
from model_orchestration.tracking.heartbeat import PARENT, Heartbeat, end_dead_trainings
from model_orchestration.tracking.retention import remove_old_runs
from model_orchestration.training.bundling import LIBRARIES, write_bundle
from model_orchestration.training.plots import Plots
from model_orchestration.training.search import Trial
from model_orchestration.training.training import Trained, Training
from scorehouse.bundles.signatures import SIGNATURE, Signer, Statement
from scorehouse.registry.client import DIGEST_TAG, SIGNATURE_TAG
from scorehouse.usecase import UseCase

ROOT = Path(__file__).parents[2]


def code_version() -> str:
    """Return the commit of this code, with `-dirty` if it was changed since, or `unknown` outside a checkout."""
    file = ROOT / "COMMIT"  # written into images, which have no .git
    if file.exists():
        return file.read_text().strip()
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


class Tracking:
    """One training in MLflow: a parent run, a child run for each trial, and one for each retrained model.

    As a context, it is the only training of the experiment that lives. An error ends what is unfinished as FAILED.
    """

    def __init__(
        self,
        address: str,
        use_case: UseCase,
        table: TrainingTable,
        configuration: str = "",
        signer: Signer | None = None,
        seed: int = 0,
    ):
        """Start the parent run in the experiment of the use case.

        `configuration` says which configuration is used, and `seed` which split. Without a `signer`, models are
        registered unsigned, and doors with a VERIFY_KEY refuse them.
        """
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        mlflow.set_tracking_uri(address)
        self._client = MlflowClient(address)
        self._use_case = use_case
        self._signer = signer
        self._experiment = mlflow.set_experiment(use_case.name).experiment_id
        self._tags = {
            "use_case": use_case.name,
            "data": table.source,
            "data_hash": table.data_hash,
            "code": code_version(),
            "configuration": configuration,
            SPLIT_TAG: describe_split(table, use_case, seed),
        }
        self._unfinished: list[str] = []
        self.parent = self._start("training", {})

    def __enter__(self) -> Self:
        """Show others that this training lives, and end those that died. Raises AlreadyRunning if one lives."""
        self._heartbeat = Heartbeat(self._client, self.parent)
        try:
            end_dead_trainings(self._client, self._experiment, self.parent)
        except BaseException:
            self._heartbeat.stop()
            self._client.delete_run(self.parent)  # it has done nothing
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End what is unfinished as FAILED. If MLflow is down, the next training does it."""
        self._heartbeat.stop()
        for run_id in reversed(self._unfinished):
            with contextlib.suppress(MlflowException):
                self._client.set_terminated(run_id, "FAILED")

    def log_trial(self, trial: Trial) -> str:
        """Log one trial with everything in one batch. Return the id of its run."""
        run_id = self._start(f"trial {trial.number:02d}", {"kind": "trial", PARENT: self.parent})
        parameters = {"family": trial.estimator.family, **trial.estimator.fixed, **trial.parameters}
        self._log_batch(run_id, {f"valid_{k}": v for k, v in trial.figures.items()}, parameters)
        self._finish(run_id)
        return run_id

    def log_model(self, training: Training, trained: Trained, trials: list[Trial]) -> str:
        """Log a retrained model with its bundle, plots and pyfunc form, and register it. Return the id of its run."""
        run_id = self._start(f"{self._use_case.name} model", {"kind": "model", PARENT: self.parent})
        self._log_batch(run_id, trained.quality, {"family": trained.family, **trained.model.parameters})
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            digest = write_bundle(
                folder / "bundle",
                run_id,
                training,
                trained,
                self._tags["code"],
                datetime.now(UTC),
                self._count_test_uses(),
            )
            tags = {DIGEST_TAG: digest, **self._sign(folder / "bundle", run_id, digest)}
            Plots(folder / "plots").draw(training, trained, trials)
            self._client.log_artifacts(run_id, str(folder / "bundle"), "bundle")
            self._client.log_artifacts(run_id, str(folder / "plots"), "plots")
            self._register(run_id, folder / "bundle", tags)
        self._finish(run_id)
        return run_id

    def finish(self, summary: dict[str, float]) -> None:
        """End the parent run with the best model's figures."""
        self._log_batch(self.parent, summary, {})
        self._finish(self.parent)

    def copy_version(self, run_id: str, name: str | None) -> None:
        """Register the version of `run_id` under a second `name` too, if one is given. Doors follow the first."""
        if not name or name == self._use_case.name:
            return
        wanted = f"run_id = '{run_id}' and name = '{self._use_case.name}'"
        for registered in self._client.search_model_versions(wanted):
            self._client.copy_model_version(f"models:/{registered.name}/{registered.version}", name)

    def remove_old_runs(self, days: int, named: Collection[str]) -> int:
        """Remove trainings of `days` ago whose model nobody needs or has `named`. Return how many runs."""
        return remove_old_runs(self._client, self._experiment, self._use_case.name, days, datetime.now(UTC), named)

    def _start(self, name: str, tags: dict[str, str]) -> str:
        run = self._client.create_run(self._experiment, tags={**self._tags, **tags}, run_name=name)
        run_id = str(run.info.run_id)
        self._unfinished.append(run_id)
        return run_id

    def _finish(self, run_id: str) -> None:
        self._client.set_terminated(run_id)
        self._unfinished.remove(run_id)

    def _count_test_uses(self) -> int:
        """Return how often test rows have judged models of this use case."""
        try:
            tags = self._client.get_registered_model(self._use_case.name).tags
        except MlflowException:  # the first model is not registered yet
            return 0
        return count_uses(tags.get(TAG, ""))

    def _log_batch(self, run_id: str, figures: dict[str, float], parameters: dict[str, Any]) -> None:
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, 0) for name, value in figures.items()]
        self._client.log_batch(run_id, metrics, [Param(k, str(v)) for k, v in parameters.items()])

    def _sign(self, bundle: Path, run_id: str, digest: str) -> dict[str, str]:
        """Write the bundle's signature beside it. Return the tag of its version; no tag without a key."""
        if self._signer is None:
            return {}
        signature = self._signer.sign(Statement(self._use_case.name, self._use_case.version, run_id, digest))
        (bundle / SIGNATURE).write_text(signature)
        return {SIGNATURE_TAG: signature}

    def _register(self, run_id: str, folder: Path, tags: dict[str, str]) -> None:
        case = self._use_case
        columns: list[ColSpec | TensorSpec] = [ColSpec(AnyType(), f.name, required=False) for f in case.features]  # type: ignore[no-untyped-call]
        pinned = [f"{name}=={version(name)}" for name in LIBRARIES]
        with warnings.catch_warnings(), mlflow.start_run(run_id):
            # MLflow wants an input example, but records have a schema of their own.
            warnings.simplefilter("ignore", UserWarning)
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("pyfunc_model.py")),
                artifacts={"bundle": str(folder)},
                code_paths=[str(ROOT / "src" / "scorehouse"), str(ROOT / "use_cases")],
                signature=ModelSignature(inputs=Schema(columns)),
                pip_requirements=pinned,
            )
        with contextlib.suppress(MlflowException):  # it already exists
            self._client.create_registered_model(case.name, description=case.about)
        self._client.create_model_version(case.name, logged.model_uri, run_id, tags=tags, model_id=logged.model_id)
