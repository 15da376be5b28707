from __future__ import annotations

from typing import Any

import pytest

from scorehouse.bundles.bundle import Manifest
from scorehouse.scoring.figures import percent
from scorehouse.serving.serving import Model
from server.web.site.card import Card, build_card

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
    return build_card(manifest, optional)


def test_a_chance_is_judged_by_ranking_calibration_and_error_on_the_test_rows(toy_model: Model) -> None:
    figures = of(toy_model, quality=BINARY).figures
    assert [f.value for f in figures] == ["0.967", "± 1.7 points", "0.054"]
    assert [f.name for f in figures] == ["AUC", "Calibration error", "Brier score"]
    assert "97 of 100 pairs" in figures[0].meaning
    assert f"the model predicts {percent(0.166)}, and it happened in {percent(0.169)}" in figures[1].meaning
    assert "Always answering the average would give 0.140" in figures[2].meaning


def test_an_amount_is_judged_in_its_own_unit(toy_model: Model) -> None:
    figures = of(toy_model, task="amount", quality=AMOUNT, answer_unit="euros").figures
    assert [f.value for f in figures] == ["75.2 euros", percent(1.003), "0.110"]


def test_a_class_is_judged_by_what_is_right_and_by_how_far_it_misses(toy_model: Model) -> None:
    figures = of(toy_model, task="ordinal", quality=ORDINAL).figures
    assert [f.value for f in figures] == ["0.62", percent(0.66), percent(0.41)]


@pytest.mark.parametrize("task", ["binary", "amount", "ordinal"])
def test_figures_that_were_not_measured_are_left_out(toy_model: Model, task: str) -> None:
    found = of(toy_model, 8, task=task, quality={})
    assert (found.figures, found.sharper) == ([], "")


def test_the_card_says_what_the_optional_fields_gain_where_it_was_measured(toy_model: Model) -> None:
    assert of(toy_model, 8, quality=BINARY).sharper == "AUC 0.967 with them, 0.734 without"
    assert of(toy_model, 0, quality=BINARY).sharper == ""
    assert of(toy_model, 8, task="ordinal", quality=ORDINAL).sharper == "kappa 0.62 with them, 0.50 without"


def test_the_facts_say_which_run_and_code_trained_it_when_and_on_what(toy_model: Model) -> None:
    facts = dict(of(toy_model, commit="0123456789abcdef").facts)
    manifest = toy_model.bundle.manifest
    assert facts["Run"] == manifest.run_id
    assert facts["Trained"] == "1 January 2026, 00:00 UTC"
    assert facts["Code version"] == "0123456789ab"
    assert facts["Model type"] == "Boosted trees (XGBoost)"
    assert f"{manifest.rows['test']:,} held out" in facts["Rows"]


def test_generated_rows_are_named_among_the_limits_and_real_ones_are_not(toy_model: Model) -> None:
    assert any("generated rows" in limit for limit in of(toy_model).limits)
    assert not any("generated rows" in limit for limit in of(toy_model, data="customers.csv").limits)


def test_a_figure_whose_details_were_not_measured_keeps_its_meaning(toy_model: Model) -> None:
    [figure] = of(toy_model, quality={"test_brier": 0.0544}).figures
    assert figure.meaning == "The mean squared error of the probability: 0 is perfect."
