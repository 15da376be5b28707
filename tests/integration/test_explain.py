"""What moved an answer: XGBoost's own contributions, of trees that were trained for real."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from jsonschema import Draft202012Validator

from scorehouse.bundles.bundle import Bundle
from scorehouse.errors import BundleError
from scorehouse.serving.serving import Model
from server.web.site.explain import NATIVE, Explainer
from server.web.site.trees import Trees
from tests import doors
from tests.doors import Door
from tests.toy import Toy

Records = list[dict[str, Any]]


@pytest.fixture(scope="module")
def toy_model(toy: Toy) -> Model:
    bundle = toy.bundle()
    return Model(bundle, bundle.scorer(toy.use_case))


@pytest.fixture
def door(toy: Toy, toy_model: Model, tmp_path: Path) -> Door:
    """A door that serves the toy."""
    one = doors.empty_door(toy.use_case, tmp_path)
    one.serving.model = toy_model
    return one


def test_the_documented_example_works_and_its_answer_is_as_documented(door: Door) -> None:
    document = door.client.get("/openapi.json").json
    operation = document["paths"]["/explain"]["post"]
    asked = operation["requestBody"]["content"]["application/json"]
    (example,) = [e["value"] for e in asked["examples"].values()]
    answer = door.post("/explain", example)
    assert answer.status_code == 200
    answered = operation["responses"]["200"]["content"]["application/json"]
    for schema, value in ((asked["schema"], example), (answered["schema"], answer.json)):
        Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def test_base_and_contributions_add_up_to_the_answer_on_the_log_odds_scale(door: Any, toy_records: Records) -> None:
    for record in toy_records[:20]:
        explained = door.post("/explain", record).json
        assert explained["scale"] == "log-odds"
        margin = explained["base"] + sum(c["contribution"] for c in explained["contributions"])
        assert 1 / (1 + math.exp(-margin)) == pytest.approx(explained["churn chance"], abs=1e-5)


def test_contributions_come_largest_first_each_with_the_value_that_was_sent(door: Any, toy_records: Records) -> None:
    record = {**toy_records[0], "gender": "unknown", "customer_age": None, "credit_limit": 4000, "prediction_id": "x"}
    explained = door.post("/explain", record).json["contributions"]
    sizes = [abs(c["contribution"]) for c in explained]
    assert sizes == sorted(sizes, reverse=True)
    values = {c["feature"]: c["value"] for c in explained}
    assert set(values) == set(toy_records[0])
    assert (values["gender"], values["customer_age"], values["credit_limit"]) == ("unknown", None, 4000)


def test_the_answer_is_the_one_that_predict_gives_and_is_journalled_as_that_is(door: Any, toy_records: Records) -> None:
    predicted = door.post("/predict", toy_records[0]).json
    explained = door.post("/explain", {**toy_records[0], "prediction_id": predicted["prediction_id"]}).json
    assert {key: explained[key] for key in predicted} == predicted
    first, second = door.journalled()
    assert {**first, "created_at": None} == {**second, "created_at": None}  # the store keeps one of them


def test_an_id_that_was_another_records_is_answered_409_as_documented(door: Any, toy_records: Records) -> None:
    door.post("/predict", {**toy_records[0], "prediction_id": "order-7"})
    refused = door.post("/explain", {**toy_records[1], "prediction_id": "order-7"})
    assert (refused.status_code, refused.mimetype) == (409, "application/problem+json")
    assert "409" in door.client.get("/openapi.json").json["paths"]["/explain"]["post"]["responses"]
    assert [line["record"] for line in door.journalled() if line["kind"] == "prediction"] == [toy_records[0]]


def test_a_record_without_an_id_gets_one_and_no_score_leaves_unlogged(door: Any, toy_records: Records) -> None:
    explained = door.post("/explain", toy_records[0]).json
    [line] = door.journalled()
    assert (line["prediction_id"], line["prediction"]) == (explained["prediction_id"], explained["churn chance"])
    assert door.post("/explain", {**toy_records[0], "gender": "X"}).status_code == 422


@pytest.mark.parametrize("body", [[], 7, None, {}, [{}]])
def test_what_is_no_record_is_refused(door: Any, body: Any) -> None:
    assert door.post("/explain", body).status_code == 422


def test_contributions_are_xgboosts_own_to_the_last_bit(toy_model: Model) -> None:
    rows = toy_model.bundle.reference.rows[:200]
    booster = xgboost.Booster(model_file=str(toy_model.bundle.folder / NATIVE))
    expected = booster.predict(xgboost.DMatrix(rows), pred_contribs=True)
    np.testing.assert_array_equal(Trees(toy_model.bundle.folder / NATIVE).contributions(rows)[:, 0], expected)


@pytest.mark.parametrize(
    ("objective", "scale", "answer"),
    [("reg:gamma", "logarithm", np.exp), ("reg:squarederror", "as answered", np.asarray)],
)
def test_an_amount_is_explained_on_its_own_objectives_scale(
    toy_model: Model, tmp_path: Path, objective: str, scale: str, answer: Any, toy_records: Records
) -> None:
    rows = toy_model.bundle.reference.rows
    truth = 100 + 10 * np.nan_to_num(rows[:, 0])
    booster = xgboost.train({"objective": objective, "nthread": 1}, xgboost.DMatrix(rows, truth), 5)
    booster.save_model(tmp_path / NATIVE)
    model = Model(Bundle(tmp_path, toy_model.bundle.manifest, ""), toy_model.scorer)
    explained = Explainer().explain(model, toy_records[0], 0.5)
    assert explained["scale"] == scale
    margin = explained["base"] + sum(c["contribution"] for c in explained["contributions"])
    row = toy_model.scorer.rows([toy_records[0]])
    assert answer(margin) == pytest.approx(booster.inplace_predict(row)[0], rel=1e-4)


def without_trees(model: Model) -> Model:
    files = {k: v for k, v in model.bundle.manifest.files.items() if k != NATIVE}
    manifest = model.bundle.manifest.model_copy(update={"files": files, "family": "svc"})
    return Model(Bundle(model.bundle.folder, manifest, ""), model.scorer)


def test_a_family_without_trees_is_a_404_that_says_so(door: Any, toy_model: Model, toy_records: Records) -> None:
    door.serving.model = without_trees(toy_model)
    answer = door.post("/explain", toy_records[0])
    assert answer.status_code == 404
    assert answer.json["detail"] == (
        "predictions of this svc model cannot be explained; only XGBoost models are supported"
    )


def test_a_file_that_is_gone_or_broken_is_told_and_leaves_the_predictions_alone(
    door: Any, toy_model: Model, tmp_path: Path, toy_records: Records
) -> None:
    door.serving.model = Model(Bundle(tmp_path, toy_model.bundle.manifest, ""), toy_model.scorer)
    for content in (None, b"", b"{}", b"no trees"):
        if content is not None:
            (tmp_path / NATIVE).write_bytes(content)
        answer = door.post("/explain", toy_records[0])
        assert (answer.status_code, "XGBoost cannot explain" in answer.json["detail"]) == (503, True)
    assert door.post("/predict", toy_records[0]).status_code == 200


def test_the_trees_of_a_model_are_loaded_on_first_use_and_once(
    toy_model: Model, toy_records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    monkeypatch.setattr("server.web.site.explain.Trees", lambda file: loaded.append(file) or Trees(file))
    explainer = Explainer()
    assert loaded == []
    for record in toy_records[:3]:
        explainer.explain(toy_model, record, 0.5)
    assert len(loaded) == 1
    other = toy_model.bundle.manifest.model_copy(update={"run_id": "b" * 32})
    explainer.explain(Model(Bundle(toy_model.bundle.folder, other, ""), toy_model.scorer), toy_records[0], 0.5)
    assert len(loaded) == 2


def test_without_the_library_the_reason_is_given(monkeypatch: pytest.MonkeyPatch, toy_model: Model) -> None:
    from server.web.site import trees

    trees._library.cache_clear()
    monkeypatch.setattr(trees, "find_spec", lambda _: None)
    with pytest.raises(BundleError, match="xgboost is not installed here"):
        Trees(toy_model.bundle.folder / NATIVE)
