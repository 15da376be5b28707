"""Removes trainings older than KEEP_RUNS_DAYS from MLflow, except models that have an alias or have ever served."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from scorehouse.registry.history import PREFIX

log = logging.getLogger(__name__)


def remove_old_runs(client: MlflowClient, experiment: str, model: str, days: int, now: datetime) -> int:
    """Remove the runs of `experiment` (an id) that ended `days` before `now`, with their versions of `model`.

    Trials are removed, and so are models with their artifacts. A model stays if its version, or a copy of it under
    another name, has an alias or has ever served, or if its version is the newest. MLflow keeps the rows of removed
    runs, marked as deleted, until `mlflow gc`. Return how many runs were removed.
    """
    versions = list(client.search_model_versions(f"name = '{model}'"))
    newest = sorted(versions, key=lambda v: int(v.version))[-1:]
    kept = {v.run_id for v in versions if v.run_id and (v in newest or _is_needed(client, v))}
    kept |= {parent for run_id in kept if (parent := _parent(client.get_run(run_id)))}
    old = [run for run in _ended_before(client, experiment, now - timedelta(days=days)) if run.info.run_id not in kept]
    removed = {run.info.run_id for run in old}
    for version in versions:
        if version.run_id in removed:
            for copy in _versions_of(client, version.run_id):
                client.delete_model_version(copy.name, copy.version)
    for run in old:
        _remove(client, run)
    if old:
        log.info("removed %d runs that ended %d days ago or more", len(old), days)
    return len(old)


def _versions_of(client: MlflowClient, run_id: str | None) -> list[ModelVersion]:
    """Return a run's versions under every name, because config.json can register them under a second name."""
    return [] if not run_id else list(client.search_model_versions(f"run_id = '{run_id}'"))


def _is_needed(client: MlflowClient, version: ModelVersion) -> bool:
    """Ask for each version itself, because a search does not return aliases."""
    copies = [client.get_model_version(v.name, v.version) for v in _versions_of(client, version.run_id)]
    return any(v.aliases or any(key.startswith(PREFIX) for key in v.tags) for v in copies)


def _parent(run: Run) -> str | None:
    parent: str | None = run.data.tags.get("mlflow.parentRunId")
    return parent


def _ended_before(client: MlflowClient, experiment: str, time: datetime) -> list[Run]:
    query = f"attributes.end_time < {int(time.timestamp() * 1000)}"
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], query, max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _remove(client: MlflowClient, run: Run) -> None:
    """Remove the artifacts first: once the run is deleted, the next attempt could not find them."""
    logged = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    for model in logged:
        _delete_artifacts(model.artifact_location)
        client.delete_logged_model(model.model_id)
    if logged:  # trials have no artifacts, and a call for each would take long
        _delete_artifacts(run.info.artifact_uri)
    client.delete_run(run.info.run_id)


def _delete_artifacts(artifacts: str) -> None:
    get_artifact_repository(artifacts).delete_artifacts()  # type: ignore[no-untyped-call]
