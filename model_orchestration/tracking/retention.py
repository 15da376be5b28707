"""Removes trainings older than KEEP_RUNS_DAYS from MLflow, except models that somebody needs."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from model_orchestration.tracking.heartbeat import PARENT
from scorehouse.registry.client import KEEP_TAG
from scorehouse.registry.history import PREFIX

log = logging.getLogger(__name__)


def remove_old_runs(
    client: MlflowClient, experiment: str, model: str, days: int, now: datetime, named: Collection[str] = ()
) -> int:
    """Remove the runs of `experiment` (an id) that are `days` older than `now`, with their versions of `model`.

    A run that never ended is as old as its start. Trials are removed, and so are models with their artifacts. A model
    stays if it or its version has the tag `keep`, if it is one of the runs in `named`, if its version is the newest, or
    if its version, or a copy of it under another name, has an alias or has ever served. MLflow keeps the rows of
    removed runs, marked as deleted, until `mlflow gc`. Return how many runs were removed.
    """
    versions = list(client.search_model_versions(f"name = '{model}'"))
    newest = sorted(versions, key=lambda v: int(v.version))[-1:]
    before = now - timedelta(days=days)
    older = _older(client, experiment, before)
    kept = {v.run_id for v in versions if v.run_id and (v in newest or _is_needed(client, v))}
    kept |= {run.info.run_id for run in older if KEEP_TAG in run.data.tags or run.info.run_id in named}
    kept |= {parent for run_id in kept if (parent := _parent(client.get_run(run_id)))}
    old = [run for run in older if run.info.run_id not in kept]
    removed = {run.info.run_id for run in old}
    for version in versions:
        if version.run_id in removed:
            for copy in _versions_of(client, version.run_id):
                client.delete_model_version(copy.name, copy.version)
    for run in old:
        _remove(client, run)
    if old:
        log.info("removed %d runs that are %d days old or older", len(old), days)
    return len(old)


def _versions_of(client: MlflowClient, run_id: str | None) -> list[ModelVersion]:
    """Return a run's versions under every name, because config.json can register them under a second name."""
    return [] if not run_id else list(client.search_model_versions(f"run_id = '{run_id}'"))


def _is_needed(client: MlflowClient, version: ModelVersion) -> bool:
    """Ask for each version itself, because a search does not return aliases."""
    copies = [client.get_model_version(v.name, v.version) for v in _versions_of(client, version.run_id)]
    return any(v.aliases or any(key == KEEP_TAG or key.startswith(PREFIX) for key in v.tags) for v in copies)


def _parent(run: Run) -> str | None:
    parent: str | None = run.data.tags.get(PARENT)
    return parent


def _older(client: MlflowClient, experiment: str, time: datetime) -> list[Run]:
    """Return the runs that ended before `time`, or started before it and never ended."""
    milliseconds = int(time.timestamp() * 1000)
    runs: list[Run] = []
    token = None
    while True:
        started = f"attributes.start_time < {milliseconds}"
        page = client.search_runs([experiment], started, max_results=1000, page_token=token)
        runs += [run for run in page if (run.info.end_time or 0) < milliseconds]
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
