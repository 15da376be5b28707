"""Scores one chunk of applications: in this process or, unchanged, on every worker of a Dask cluster."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model_orchestration.batch.records import Written, to_records
from scorehouse.bundles.bundle import Bundle
from scorehouse.bundles.cache import BundleCache
from scorehouse.bundles.signatures import Trust
from scorehouse.errors import RegistryUnavailable, RunNotFound
from scorehouse.pages.loading import load_use_case
from scorehouse.registry.client import KEEP_TAG, SERVING, Registry, Version
from scorehouse.scoring.schema import Rejected
from scorehouse.scoring.scorer import Scorer
from scorehouse.settings import Settings
from scorehouse.usecase import UseCase

AT_ONCE = 2_000  # rows that become records at a time: a record takes about thirty times the memory of its row


@dataclass(frozen=True, slots=True)
class Model:
    """The version that scores a whole batch. Its bundle is fetched from MLflow into `folder`."""

    use_case: str
    version: Version
    mlflow_address: str
    folder: str
    trust: Trust
    login: tuple[str, str] | None = field(default=None, repr=False)  # of MLflow; Dask's pages show what tasks print


@dataclass(frozen=True, slots=True)
class Scored:
    """Answers to the rows of a chunk, with NaN for rejected rows; and the rejections by position in the chunk.

    Answers are (n,), or the chances of several classes, (n, classes).
    """

    answers: NDArray[np.float64]
    rejected: dict[int, Rejected]


def resolve_model(settings: Settings, use_case: UseCase) -> Model:
    """Return the version of RUN_ID, or the serving one. A run that RUN_ID names is marked to be kept.

    Raises RunNotFound, RegistryUnavailable.
    """
    registry = Registry.of(settings)
    version = BundleCache.of(settings, registry).resolve(use_case.name, settings.run_id or SERVING)
    if settings.run_id == version.run_id:
        # KEEP_RUNS_DAYS must not remove it before the next night: the training does not know this process's settings.
        with suppress(RegistryUnavailable, RunNotFound):  # the cache has it, and the next batch marks it
            registry.tag_run(version.run_id, KEEP_TAG, "RUN_ID of a batch")
    folder = str(settings.bundle_folder.absolute())
    return Model(use_case.name, version, settings.mlflow_address, folder, Trust.of(settings), settings.mlflow_login)


@lru_cache(maxsize=2)
def load_model(model: Model) -> tuple[Bundle, Scorer]:
    """Return the verified bundle and its scorer, as a door has them. Raises BundleError, RegistryUnavailable."""
    bundle = BundleCache(Path(model.folder), Registry(model.mlflow_address, login=model.login), model.trust).load(
        model.version
    )
    return bundle, bundle.scorer(load_use_case(model.use_case))


def score_chunk(model: Model, chunk: pa.Table, written: Written) -> Scored:
    """Score the rows of a chunk, whose columns are `written` so. Raises as `load_model`."""
    bundle, scorer = load_model(model)
    classes = bundle.manifest.classes
    answers = np.full((chunk.num_rows, len(classes)) if classes else chunk.num_rows, np.nan)
    rejected: dict[int, Rejected] = {}
    for start in range(0, chunk.num_rows, AT_ONCE):
        records = to_records(chunk.slice(start, AT_ONCE), bundle.features, written)
        for position, answer in enumerate(scorer.score(records), start):
            if isinstance(answer, Rejected):
                rejected[position] = answer
            else:
                answers[position] = answer
    return Scored(answers, rejected)
