"""10,000 random records: the HTTP answer, the batch, the pyfunc and the native booster say the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
import xgboost as xgb

from scorehouse.bundles.bundle import Bundle
from scorehouse.bundles.cache import BundleCache
from scorehouse.bundles.signatures import Trust
from scorehouse.pages.loading import load_use_case
from scorehouse.pages.records import random_records
from scorehouse.registry.client import Registry
from scorehouse.usecase import UseCase
from tests import signing
from tests import toy as toys
from tests.servers import Server
from tests.toy import Scorer

COUNT, AGREE = 10_000, 1e-6


@pytest.fixture(scope="module")
def use_case() -> UseCase:
    return load_use_case("churn")


@pytest.fixture(scope="module")
def records(use_case: UseCase) -> list[dict[str, Any]]:
    return random_records(use_case, COUNT, seed=20261121)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forms")


@pytest.fixture(scope="module")
def bundle(mlflow_server: Server, trained_run: str, folder: Path) -> Bundle:
    registry = Registry(mlflow_server.address)
    return BundleCache(folder / "cache", registry, Trust((signing.PUBLIC,))).load(
        registry.version_of_run("churn", trained_run)
    )


@pytest.fixture(scope="module")
def batch(bundle: Bundle, use_case: UseCase, records: list[dict[str, Any]]) -> np.ndarray:
    return np.array(bundle.scorer(use_case).score(records), dtype=float)


@pytest.fixture(scope="module")
def scorer(mlflow_server: Server, trained_run: str, folder: Path) -> Iterator[Scorer]:
    one = toys.scorer(folder / "door", trained_run, MLFLOW_ADDRESS=mlflow_server.address)
    with toys.running(one):
        yield one


def test_the_records_hold_every_case(use_case: UseCase, records: list[dict[str, Any]]) -> None:
    for feature in use_case.features:
        values = [r[feature.name] for r in records if feature.name in r]
        assert (len(values) < COUNT) == (not feature.required)
        assert (None in values) == feature.nullable
        if feature.kind == "category":
            assert set(feature.categories) <= set(values)
        else:
            assert feature.low in values and feature.high in values
            assert len(set(values)) > 5


def test_one_path_scores_every_record_the_same_in_every_form(
    bundle: Bundle, use_case: UseCase, records: list[dict[str, Any]], batch: np.ndarray
) -> None:
    assert batch.shape == (COUNT,) and np.isfinite(batch).all()
    assert batch.std() > 0.01  # a constant would agree with everything
    booster = xgb.Booster(model_file=bundle.folder / "model.ubj")
    rows = bundle.encoder.rows(records)  # the records as they came: the native model needs no scorer
    native = booster.inplace_predict(rows)
    assert np.abs(native - batch).max() <= AGREE


def test_a_record_alone_is_answered_as_it_is_in_a_batch(
    bundle: Bundle, use_case: UseCase, records: list[dict[str, Any]], batch: np.ndarray
) -> None:
    scorer = bundle.scorer(use_case)
    alone = np.array([scorer.score([r])[0] for r in records[:2000]], dtype=float)
    np.testing.assert_array_equal(alone, batch[:2000])


def test_http_answers_what_the_batch_answers(
    scorer: Scorer, records: list[dict[str, Any]], batch: np.ndarray, use_case: UseCase
) -> None:
    answered: list[float] = []
    with requests.Session() as session:
        for start in range(0, COUNT, 1000):
            answer = session.post(f"{scorer.url}/predict", json=records[start : start + 1000], timeout=60)
            assert answer.status_code == 200, answer.text[:500]
            answered += [one[use_case.answer] for one in answer.json()]
        single = session.post(f"{scorer.url}/predict", json=records[0], timeout=60).json()
    assert np.abs(np.array(answered) - batch).max() <= AGREE
    assert abs(single[use_case.answer] - batch[0]) <= AGREE


def test_the_pyfunc_answers_what_the_batch_answers(
    mlflow_server: Server, trained_run: str, records: list[dict[str, Any]], batch: np.ndarray
) -> None:
    mlflow.set_tracking_uri(mlflow_server.address)
    model = mlflow.pyfunc.load_model(f"runs:/{trained_run}/model")
    answered = np.array(model.predict(pd.DataFrame(records)), dtype=float)
    assert np.abs(answered - batch).max() <= AGREE
