"""config.json: what it may say is done, what it may not is refused by name, and nothing is trained by half of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_orchestration.training import configuration
from model_orchestration.training.configuration import Configuration, parse, tune_run, tune_use_case
from scorehouse.errors import ConfigurationError
from scorehouse.pages.loading import load_use_case
from scorehouse.settings import Settings
from scorehouse.usecase import Choice, Range, UseCase

SAID = {
    "retraining_cycle": 3600,
    "training_rounds": 20,
    "xgboost_rounds": 300,
    "early_stopping_condition": 10,
    "model_registry_name": "insurance-trial",
    "search_space": {"xgboost": {"learning_rate": [0.1, 0.2], "max_depth": [3, 5]}},
}


@pytest.fixture(scope="module")
def insurance() -> UseCase:
    return load_use_case("insurance")


@pytest.fixture(scope="module")
def flights() -> UseCase:
    return load_use_case("flights")


def settings(**given: Any) -> Settings:
    return Settings.model_validate(given)


def test_the_contracts_keys_tune_estimators_and_search(insurance: UseCase, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**SAID, "split_seed": 7, "retrain_best": 2}))
    found = tune_run(insurance, settings(data=str(tmp_path / "motor.csv"), trials=50))
    (trees,) = found.use_case.estimators
    assert trees.space["learning_rate"] == Range(0.1, 0.2, log=True)
    assert trees.space["max_depth"] == Range(3, 5, integer=True)
    assert trees.space["subsample"] == insurance.estimators[0].space["subsample"]
    assert trees.fixed == {"objective": "reg:gamma", "rounds": 300, "patience": 10}
    assert (found.settings.trials, found.settings.split_seed, found.use_case.retrain_best) == (20, 7, 2)
    assert (found.configuration.retraining_cycle, found.configuration.model_registry_name) == (3600, "insurance-trial")
    assert str(found).startswith(f"{tmp_path}/config.json: ") and '"training_rounds": 20' in str(found)


def test_the_file_is_looked_for_next_to_the_pages_own_table(insurance: UseCase, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"training_rounds": 3}))
    page = replace(insurance, table=str(tmp_path / "motor.csv"))
    assert tune_run(page, settings()).settings.trials == 3
    assert tune_run(page, settings(data=str(tmp_path / "elsewhere" / "motor.csv"))).settings.trials == 0


def test_what_is_absent_stays(insurance: UseCase, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    asked = settings(data=str(tmp_path / "motor.csv"), trials=9, split_seed=3)
    found = tune_run(insurance, asked)
    assert found.use_case == insurance and found.settings == asked


def test_without_a_file_the_training_says_that_it_used_its_own(insurance: UseCase, tmp_path: Path) -> None:
    found = tune_run(insurance, settings(data=str(tmp_path / "motor.csv")))
    assert found.use_case is insurance
    assert str(found) == f"the use case's own configuration (no {tmp_path}/config.json)"
    assert str(tune_run(insurance, settings())) == "the use case's own configuration (no config.json)"


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({}, ""),
        ({"bucket_name": "ours-1"}, "s3://ours-1/insurance/config.json"),
        ({"s3_address": "http://127.0.0.1:4566"}, "s3://scorehouse/insurance/config.json"),
        ({"data": "s3://b/tables/t.csv"}, "s3://b/tables/config.json"),
        ({"data": "s3://b/t.csv", "training_config": "mine.json"}, "mine.json"),
    ],
)
def test_it_is_looked_for_beside_the_table_or_in_a_bucket_of_ones_own(
    insurance: UseCase, given: dict[str, str], address: str
) -> None:
    assert configuration._choose_address(insurance, Settings(**given)) == address


def test_a_file_that_was_named_must_be_there(insurance: UseCase, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.json cannot be read"):
        tune_run(insurance, settings(training_config=str(tmp_path / "nowhere.json")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is not JSON"),
        (b"[1]", "is not a JSON object"),
        (b"\xff", "is not JSON"),
        (b'{"training_rounds": 1, "training_rounds": 2}', "the key 'training_rounds' appears twice"),
        (b'{"trainingrounds": 5}', "trainingrounds: unknown key; did you mean 'training_rounds'?"),
        (b'{"training_rounds": "5"}', "training_rounds: must be a valid integer, got '5'"),
        (b'{"training_rounds": 0}', "training_rounds: must be greater than or equal to 1, got 0"),
        (b'{"training_rounds": true}', "training_rounds: must be a valid integer"),
        (b'{"retraining_cycle": 5}', "retraining_cycle: must be greater than or equal to 60"),
        (b'{"search_space": [1]}', "search_space: must be a valid dictionary"),
    ],
)
def test_what_is_malformed_or_unknown_is_named(content: bytes, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse(content, "config.json")
    assert said in str(refused.value)


def test_every_fault_is_reported_at_once() -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse(b'{"training_rounds": -1, "split_seed": "a", "seed": 3}', "config.json")
    assert [line.strip().split(":")[0] for line in str(refused.value).splitlines()[1:]] == [
        "training_rounds", "split_seed", "seed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"catboost": {}}, "search_space.catboost: flights only searches lasso, random_forest, ridge, xgboost"),
        (
            {"xgboost": {"max_deph": [3, 5]}},
            "search_space.xgboost.max_deph: unknown dimension; did you mean 'max_depth'?",
        ),
        ({"xgboost": {"max_depth": [5, 3]}}, "the low bound 5 is not below the high bound 3"),
        ({"xgboost": {"max_depth": [3.5, 5]}}, "search_space.xgboost.max_depth: both bounds must be whole numbers"),
        ({"xgboost": {"learning_rate": [0, 1]}}, "both bounds must be above 0"),
        ({"xgboost": {"learning_rate": [0.1]}}, "give two numbers, [low, high]"),
        ({"ridge": {"alpha": ["a", "b"]}}, "give two numbers, [low, high]"),
        ({"ridge": {"alpha": [1, float("inf")]}}, "both bounds must be finite numbers"),
        (
            {"xgboost": {"subsample": [0.5, 2.0]}},
            "subsample: this is a share, so both bounds must be above 0 and at most 1",
        ),
        (
            {"xgboost": {"colsample_bynode": [0.0, 0.5]}},
            "colsample_bynode: this is a share, so both bounds must be above 0 and at most 1",
        ),
        ({"xgboost": {"max_depth": [-3, 4]}}, "max_depth: the low bound must be at least 1"),
    ],
)
def test_a_search_space_that_cannot_be_is_named(flights: UseCase, space: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        tune_use_case(flights, Configuration(search_space=space))
    assert said in str(refused.value)


def test_bounds_reach_the_family_they_are_for_and_no_other(flights: UseCase) -> None:
    made = tune_use_case(flights, Configuration(search_space={"lasso": {"alpha": [1, 2]}}))
    alpha = {e.family: e.space["alpha"] for e in made.estimators if "alpha" in e.space}
    assert alpha == {"ridge": Range(0.01, 1000, log=True), "lasso": Range(1, 2, log=True)}


def test_of_named_options_only_those_of_the_page_may_be_asked_for(flights: UseCase) -> None:
    from dataclasses import replace

    trees = replace(flights.estimators[0], space={"grow_policy": Choice(("depthwise", "lossguide"))})
    case = replace(flights, estimators=(trees,))
    made = tune_use_case(case, Configuration(search_space={"xgboost": {"grow_policy": ["lossguide"]}}))
    assert made.estimators[0].space == {"grow_policy": Choice(("lossguide",))}
    with pytest.raises(ConfigurationError, match="the allowed options are depthwise, lossguide"):
        tune_use_case(case, Configuration(search_space={"xgboost": {"grow_policy": ["best"]}}))


def test_a_use_case_without_boosted_trees_refuses_their_keys() -> None:
    with pytest.raises(ConfigurationError, match="wine does not train xgboost"):
        tune_use_case(load_use_case("wine"), Configuration(xgboost_rounds=10))
