from __future__ import annotations

from typing import Any

import pytest

from scorehouse.bundles.bundle import Manifest
from scorehouse.serving.serving import Model
from server.web.site.card import Card, card, percent

BINARY = {
    "test_auc": 0.967,
    "test_brier": 0.0544,
    "test_mean_true": 0.169,
    "test_mean_predicted": 0.166,
    "test_calibration_error": 0.017,
    "test_required_only_auc": 0.734,
    "valid_auc": 0.99,
}
AMOUNT = {"test_mae": 75.2, "test_gamma_deviance": 0.11, "test_predicted_over_true": 1.003}
ORDINAL = {"test_accuracy": 0.66, "test_balanced_accuracy": 0.41, "test_kappa": 0.62, "test_required_only_kappa": 0.5}


def of(model: Model, optional: int = 0, **changes: Any) -> Card:
    manifest: Manifest = model.bundle.manifest.model_copy(update=changes)
    return card(manifest, optional)


def test_a_chance_is_judged_by_ranking_calibration_and_error_on_the_test_rows(toy_model: Model) -> None:
    figures = of(toy_model, quality=BINARY).figures
    assert [f.value for f in figures] == ["0.967", "± 1.7 points", "0.054"]
    assert "97 of 100 pairs" in figures[0].meaning
    assert f"it says {percent(0.166)}, and it happened in {percent(0.169)}" in figures[1].meaning
    assert "always saying the average gives 0.140" in figures[2].meaning


def test_an_amount_is_judged_in_its_own_unit(toy_model: Model) -> None:
    figures = of(toy_model, task="amount", quality=AMOUNT, answer_unit="euros").figures
    assert [f.value for f in figures] == ["75.2 euros", percent(1.003), "0.110"]


def test_a_class_is_judged_by_what_is_right_and_by_how_far_it_misses(toy_model: Model) -> None:
    figures = of(toy_model, task="ordinal", quality=ORDINAL).figures
    assert [f.value for f in figures] == [percent(0.66), percent(0.41), "0.62"]


@pytest.mark.parametrize("task", ["binary", "amount", "ordinal"])
def test_figures_that_were_not_measured_are_left_out(toy_model: Model, task: str) -> None:
    found = of(toy_model, 8, task=task, quality={})
    assert (found.figures, found.sharper) == ([], "")


def test_what_the_optional_fields_are_worth_is_said_where_it_was_measured(toy_model: Model) -> None:
    assert of(toy_model, 8, quality=BINARY).sharper == "ranking (AUC) 0.967 with them, 0.734 without"
    assert of(toy_model, 0, quality=BINARY).sharper == ""
    assert of(toy_model, 8, task="ordinal", quality=ORDINAL).sharper == "agreement (kappa) 0.62 with them, 0.50 without"


def test_the_facts_say_what_by_whom_from_what_and_when(toy_model: Model) -> None:
    facts = dict(of(toy_model, commit="0123456789abcdef").facts)
    made = toy_model.bundle.manifest
    assert facts["Run"] == made.run_id
    assert facts["Trained"] == "1 January 2026, 00:00 UTC"
    assert facts["By the code of commit"] == "0123456789ab"
    assert facts["Kind of model"] == "Boosted trees (XGBoost)"
    assert f"{made.rows['test']:,} kept aside" in facts["Rows"]


def test_generated_rows_are_named_among_the_limits_and_real_ones_are_not(toy_model: Model) -> None:
    assert any("generated rows" in limit for limit in of(toy_model).limits)
    assert not any("generated rows" in limit for limit in of(toy_model, data="customers.csv").limits)
