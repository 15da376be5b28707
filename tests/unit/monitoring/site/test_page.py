"""What the page draws and says."""

from dataclasses import replace

import numpy as np

from monitoring.evidently_service.drift.statistics import Sample
from monitoring.evidently_service.drift.verdict import DEFAULT_RULE
from monitoring.evidently_service.site.histogram import Bar, bars, svg
from monitoring.evidently_service.site.page import assumptions, code_labels, columns, figures, headline, notices
from monitoring.evidently_service.windows.watch import Watch
from scorehouse.usecase import Feature
from tests.unit.monitoring.house import USE_CASE, bundle, documents, records


def test_a_category_has_a_bar_for_each_value_of_either_side_by_its_name() -> None:
    reference, window = Sample("category", np.array([0.0, 0.0, 1.0]), 4), Sample("category", np.array([1.0, 2.0]), 2)
    assert bars(reference, window, {0: "blue", 1: "silver", 2: "gold"}) == [
        Bar("blue", 0.5, 0.0),
        Bar("silver", 0.25, 0.5),
        Bar("gold", 0.0, 0.5),
        Bar("missing", 0.25, 0.0),
    ]


def test_the_bars_of_a_boolean_are_called_by_its_labels_or_false_and_true() -> None:
    name = bundle().encoder.columns[0].name
    plain = Feature(name=name, kind="boolean", help="")
    assert code_labels(bundle(), name, plain) == {0.0: "false", 1.0: "true"}
    labelled = replace(plain, labels={True: "owner", False: "tenant"})
    assert code_labels(bundle(), name, labelled) == {0.0: "tenant", 1.0: "owner"}


def test_a_number_is_binned_and_outliers_are_counted_in_the_end_bins() -> None:
    reference = Sample("number", np.sort(np.r_[np.linspace(0, 1, 999), 1e9]), 1000)
    found = bars(reference, Sample("number", np.linspace(0.5, 1.5, 100), 100), {})
    assert len(found) == 18
    assert abs(sum(b.reference for b in found) - 1) < 1e-9
    assert abs(sum(b.window for b in found) - 1) < 1e-9
    assert found[0].window == 0


def test_an_empty_side_and_a_constant_can_be_drawn() -> None:
    empty, constant = Sample("number", np.array([]), 0), Sample("number", np.full(20, 3.0), 20)
    assert svg("x", bars(constant, empty, {})).count("<g>") == 1
    assert svg("x", bars(empty, empty, {})).count("<g>") == 0


def test_names_are_escaped_in_the_drawing() -> None:
    assert "<script>" not in svg("<script>", [Bar("<script>", 1, 1)])


def test_the_headline_says_how_many_columns_drift_or_why_it_cannot() -> None:
    assert headline(None) == "No predictions yet"
    watch = Watch(bundle(), USE_CASE)
    assert headline(watch) == "Too early to say"
    watch.take(documents(records(300, seed=2)))
    watch.evaluate()
    assert headline(watch) == "Nothing drifts"
    watch.take(documents(records(500, seed=3, drift=1), 301))
    watch.evaluate()
    assert headline(watch) == "1 of 5 columns drifts"


def test_drifting_columns_come_first_with_their_time_and_effect() -> None:
    watch = Watch(bundle(), USE_CASE)
    shifted = [{**r, "months": r["months"] + 9} for r in records(500, seed=3)]
    watch.take(documents(shifted))
    watch.evaluate()
    assert watch.evaluation is not None
    first = columns(watch, watch.evaluation, USE_CASE)[0]
    assert (first.name, first.drifts, first.since) == ("months", True, "21 Nov 12:08:19 UTC")
    assert first.moved.startswith("0.4")
    assert first.level == 1


def test_the_quality_table_has_figures_by_outcomes_estimated_and_at_training() -> None:
    watch = Watch(bundle(), USE_CASE)
    watch.take(documents(records(300, seed=2)))
    watch.evaluate()
    auc = figures(watch)[0]
    assert (auc.label, auc.outcomes, auc.training) == ("AUC", None, 0.8)
    assert auc.estimate is not None and 0.5 < auc.estimate < 1


def test_notices_say_what_was_not_compared() -> None:
    watch = Watch(bundle(), USE_CASE)
    watch.take(documents([{k: v for k, v in r.items() if k != "spent"} for r in records(150, seed=2)]))
    watch.evaluate()
    assert watch.evaluation is not None
    said = notices(watch, watch.evaluation)
    assert said == [
        "150 records so far; a verdict needs 200.",
        "Not compared, because no record contains them: spent.",
    ]


def test_before_a_whole_span_the_page_says_when_the_verdict_comes() -> None:
    watch = Watch(bundle(), USE_CASE, replace(DEFAULT_RULE, span=86_400.0))
    watch.take(documents(records(300, seed=2)))
    watch.evaluate()
    assert watch.evaluation is not None
    assert headline(watch) == "Too early to say"
    assert notices(watch, watch.evaluation) == [
        "The records so far cover less than 24 hours, which a verdict needs because records may differ by the hour. "
        "It comes after 22 Nov 12:00:00 UTC."
    ]


def test_the_page_says_what_the_verdict_assumes() -> None:
    as_they_come = " ".join(assumptions(Watch(bundle(), USE_CASE)))
    daily = " ".join(assumptions(Watch(bundle(), USE_CASE, replace(DEFAULT_RULE, span=86_400.0))))
    assert "counts once per window" in as_they_come
    assert "set DRIFT_WINDOW_HOURS to 24" in as_they_come
    assert "24 hours have the mix of the training data" in daily


def test_a_column_whose_records_resemble_each_other_says_as_how_many_they_count() -> None:
    watch = Watch(bundle(), USE_CASE)
    limits = [r["limit"] for r in records(100, seed=3)]
    watch.take(documents([{**r, "limit": limits[i // 5]} for i, r in enumerate(records(500, seed=2))]))
    watch.evaluate()
    assert watch.evaluation is not None
    counts = {card.name: card.counts_as for card in columns(watch, watch.evaluation, USE_CASE)}
    assert counts["limit"] is not None and 70 < counts["limit"] < 180
    assert counts["months"] is None
