"""Removes trainings older than KEEP_RUNS_DAYS from MLflow, but what an alias names and what ever served."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from scorehouse.registry.history import PREFIX

log = logging.getLogger(__name__)


def forget(client: MlflowClient, experiment: str, model: str, days: int, now: datetime) -> int:
    """Remove the runs of `experiment` (an id) that ended `days` before `now`, with their versions of `model`.

    Trials go, and models with their artifacts, unless their version, or a copy of it under another name, has an alias,
    served once, or is the newest. MLflow keeps removed runs' rows as deleted until `mlflow gc`. Return how many runs
    were removed.
    """
    versions = list(client.search_model_versions(f"name = '{model}'"))
    newest = sorted(versions, key=lambda v: int(v.version))[-1:]
    kept = {v.run_id for v in versions if v.run_id and (v in newest or _needed(client, v))}
    kept |= {parent for run_id in kept if (parent := _parent(client.get_run(run_id)))}
    old = [run for run in _ended_before(client, experiment, now - timedelta(days=days)) if run.info.run_id not in kept]
    gone = {run.info.run_id for run in old}
    for version in versions:
        if version.run_id in gone:
            for copy in _versions_of(client, version.run_id):
                client.delete_model_version(copy.name, copy.version)
    for run in old:
        _remove(client, run)
    if old:
        log.info("removed %d runs that ended %d days ago or more", len(old), days)
    return len(old)


def _versions_of(client: MlflowClient, run_id: str | None) -> list[ModelVersion]:
    """A run's versions under every name: config.json can have them registered under a second one."""
    return [] if not run_id else list(client.search_model_versions(f"run_id = '{run_id}'"))


def _needed(client: MlflowClient, version: ModelVersion) -> bool:
    """Search gives no aliases: each version itself is asked."""
    whole = [client.get_model_version(v.name, v.version) for v in _versions_of(client, version.run_id)]
    return any(v.aliases or any(key.startswith(PREFIX) for key in v.tags) for v in whole)


def _parent(run: Run) -> str | None:
    parent: str | None = run.data.tags.get("mlflow.parentRunId")
    return parent


def _ended_before(client: MlflowClient, experiment: str, time: datetime) -> list[Run]:
    asked = f"attributes.end_time < {int(time.timestamp() * 1000)}"
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], asked, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _remove(client: MlflowClient, run: Run) -> None:
    """Artifacts first: a run that is deleted already would hide them from the next attempt."""
    logged = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    for model in logged:
        _delete(model.artifact_location)
        client.delete_logged_model(model.model_id)
    if logged:  # trials have none, and a call for each would take long
        _delete(run.info.artifact_uri)
    client.delete_run(run.info.run_id)


def _delete(artifacts: str) -> None:
    get_artifact_repository(artifacts).delete_artifacts()  # type: ignore[no-untyped-call]
