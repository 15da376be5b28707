"""A run's window: when it is evaluated, what it forgets, and what a restart keeps."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from monitoring.evidently_service.drift.observed import RunColumns
from monitoring.evidently_service.drift.reference import RunReference
from monitoring.evidently_service.drift.verdict import DEFAULT_RULE, judge
from monitoring.evidently_service.windows.watch import Watch
from scorehouse.errors import BundleError
from tests.unit.monitoring.house import NOON, USE_CASE, bundle, documents, records


@pytest.fixture
def watch() -> Watch:
    return Watch(bundle(), USE_CASE)


def feed(watch: Watch, of: list[dict[str, Any]], step: int = 125) -> int:
    """Give records in steps, evaluating when due; return how many evaluations there were."""
    first = int(watch.window.numbers[-1]) + 1 if len(watch.window) else 1
    count = 0
    for start in range(0, len(of), step):
        watch.take(documents(of[start : start + step], first + start, at=NOON + first + start))
        if watch.due:
            watch.evaluate()
            count += 1
    return count


def test_a_window_is_due_after_125_new_records_and_when_it_first_holds_200(watch: Watch) -> None:
    evaluated = []
    for number, record in enumerate(records(500), 1):
        watch.take(documents([record], number))
        if watch.due:
            watch.evaluate()
            evaluated.append(number)
    assert evaluated == [125, 200, 325, 450]


def test_a_window_keeps_the_500_newest_records(watch: Watch) -> None:
    watch.take(documents(records(1200)))
    assert len(watch.window) == 500
    assert watch.window.numbers.tolist() == list(range(701, 1201))


def test_records_that_come_twice_change_nothing(watch: Watch) -> None:
    watch.take(documents(records(300)))
    before = watch.to_json()
    watch.take(documents(records(300)))
    assert watch.to_json() == before


def test_usual_traffic_is_quiet_and_a_halved_limit_is_named_with_its_time(watch: Watch) -> None:
    feed(watch, records(1000, seed=2))
    assert watch.drifting == {}
    feed(watch, records(500, seed=3, drift=1))
    assert "limit" in watch.drifting
    assert NOON + 1000 < watch.drifting["limit"].since <= NOON + 1500
    assert "months" not in watch.drifting


def test_notification_waits_for_a_second_evaluation_and_the_alarm_clears_with_usual_traffic(watch: Watch) -> None:
    feed(watch, records(500, seed=2))
    drifted = records(500, seed=3, drift=1)
    watch.take(documents(drifted, 501))
    watch.evaluate()
    assert watch.evaluation is not None and watch.evaluation.verdict.alarm
    assert not watch.confirmed
    feed(watch, records(125, seed=4, drift=1))
    assert watch.confirmed == ("limit",)
    feed(watch, records(600, seed=5))
    assert not watch.drifting
    assert not watch.confirmed


def test_a_window_that_is_too_small_names_no_column(watch: Watch) -> None:
    feed(watch, records(150, seed=3, drift=1))
    assert watch.evaluation is not None
    assert watch.evaluation.verdict.drifted == ("limit",)
    assert watch.evaluation.drifting == ()
    assert watch.drifting == {}


def test_a_restart_continues_with_the_same_window_and_counts_no_evaluation_twice(watch: Watch) -> None:
    feed(watch, records(500, seed=2) + records(375, seed=3, drift=1))
    watch.take_outcomes([{**d, "outcome": 1.0, "outcome_at": d["created_at"]} for d in documents(records(10), 400)])
    again = Watch(bundle(), USE_CASE)
    again.restore(json.loads(json.dumps(watch.to_json())))
    assert again.to_json() == watch.to_json()
    assert again.drifting == watch.drifting != {}
    assert again.quality == watch.quality != {}
    assert again.evaluation is not None and watch.evaluation is not None
    assert again.evaluation.verdict == watch.evaluation.verdict


def test_an_optional_field_that_nobody_sends_is_left_out_and_is_not_drift(watch: Watch) -> None:
    bare = [{k: v for k, v in r.items() if k != "spent"} for r in records(500, seed=6)]
    feed(watch, bare)
    assert watch.evaluation is not None
    assert watch.evaluation.left_out == ("spent",)
    assert [c.name for c in watch.evaluation.verdict.columns] == ["limit", "months", "card", "prediction"]
    assert watch.at_training == {"auc": 0.6}
    assert watch.drifting == {}


def test_predictions_are_compared_with_those_of_reference_rows_that_lack_the_same(watch: Watch) -> None:
    mixed = [r if i % 2 else {k: v for k, v in r.items() if k != "spent"} for i, r in enumerate(records(500, seed=7))]
    feed(watch, mixed)
    assert watch.evaluation is not None
    assert watch.evaluation.unsent == {"spent": 0.5}
    assert watch.evaluation.predictions_compared == 500
    assert watch.drifting == {}


def test_predictions_of_a_model_that_is_a_little_surer_are_no_drift_and_others_are() -> None:
    """The reference's predictions come from models that were trained on fewer rows, so they are less sure."""
    known = bundle()
    columns = RunColumns(known, USE_CASE)

    def sure(scores: Any, least: float) -> Any:
        noise = np.abs(np.random.default_rng(len(scores)).normal(0, 0.002, len(scores)))
        return np.where(scores > 0.4, 1 - least - noise, least + noise)

    scores = known.reference.predictions
    reference = RunReference(replace(known.reference, predictions=sure(scores, 0.01)), columns)

    def drifts(least: float) -> bool:
        sent = documents(records(500, seed=3))
        chances = sure(np.array([d["prediction"] for d in sent]), least)
        window = columns.observe([{**d, "prediction": p} for d, p in zip(sent, chances, strict=True)])
        return "prediction" in judge(*reference.tables(window)).drifted

    assert not drifts(0.005)
    assert drifts(0.1)


def test_a_null_is_a_value_that_went_missing(watch: Watch) -> None:
    feed(watch, [{**r, "spent": None} if i % 3 == 0 else r for i, r in enumerate(records(500, seed=8))])
    assert "spent" in watch.drifting


def test_a_run_of_another_version_of_the_use_case_cannot_be_watched() -> None:
    with pytest.raises(BundleError, match="version 2"):
        Watch(bundle(version=2), USE_CASE)


def spanning(hours: float) -> Watch:
    return Watch(bundle(), USE_CASE, replace(DEFAULT_RULE, span=hours * 3600))


def test_a_record_that_is_sent_again_counts_once(watch: Watch) -> None:
    twice = [record for record in records(400, seed=2) for _ in range(2)]
    watch.take(documents(twice))
    assert len(watch.window) == watch.unseen == 400
    assert watch.window.numbers.tolist() == list(range(2, 801, 2))
    assert sum(watch.minutes.counts.values()) == 800


def test_a_customer_counts_once_with_the_newest_record(watch: Watch) -> None:
    sent = documents(records(300, seed=2))
    watch.take([{**d, "customer_id": str(d["seq"] % 250)} for d in sent])
    assert watch.window.numbers.tolist() == list(range(51, 301))


def test_drift_is_found_among_customers_who_are_all_known(watch: Watch) -> None:
    def send(seed: int, first: int, drift: float = 0.0) -> int:
        before = 0
        for start in range(0, 400, 100):
            of = records(400, seed=seed, drift=drift)[start : start + 100]
            named = [{**d, "customer_id": start + i} for i, d in enumerate(documents(of, first + start))]
            watch.take(named)
            before += watch.due
            if watch.due:
                watch.evaluate()
        return before

    assert send(2, 1) and not watch.drifting
    assert send(2, 401) == 0, "the same records again change nothing"
    assert send(3, 801, drift=1) == 2
    assert "limit" in watch.drifting


def test_equal_contents_count_each_where_they_are_common_in_training() -> None:
    coarse = bundle()
    coarse.reference.rows[:] = np.round(coarse.reference.rows[:1])
    watch = Watch(coarse, USE_CASE)
    watch.take(documents(records(1, seed=2) * 300))
    assert not watch.columns.content_identifies
    assert len(watch.window) == 300


def test_a_window_that_spans_time_judges_after_a_whole_span_and_once_each_24th(watch: Watch) -> None:
    watch, evaluated = spanning(1), []
    for start in range(0, 7200, 50):
        watch.take(documents(records(50, seed=start, drift=1), start + 1, at=NOON + start))
        if watch.due:
            watch.evaluate()
            evaluated.append(start + 50)
            assert bool(watch.drifting) == watch.sampling.whole == (start + 49 >= 3600)
    assert evaluated[:3] == [150, 200, 350]
    assert all(later - earlier >= 150 for earlier, later in pairwise(evaluated[2:]))
    assert len(watch.window) == 1000
    assert watch.window.times.min() >= NOON + 3549


def test_without_enough_records_in_a_span_a_window_covers_several_whole_ones() -> None:
    watch = spanning(0.05)
    watch.take(documents(records(1000)))
    assert len(watch.window) == 540, "three spans of 180 seconds are the fewest with 500 records"


def test_a_window_of_an_earlier_release_is_taken_over(watch: Watch) -> None:
    feed(watch, records(500, seed=2) + records(375, seed=3, drift=1))
    stored = json.loads(json.dumps(watch.to_json()))
    for name in ("version", "since", "span", "read_to"):
        del stored[name]
    del stored["window"]["keys"]
    again = Watch(bundle(), USE_CASE)
    again.restore(stored)
    assert again.window.numbers.tolist() == watch.window.numbers.tolist()
    assert again.drifting == watch.drifting != {}
    again.take(documents(records(10), 866))
    assert again.window.numbers[-1] == 875, "records up to the newest of the window were taken"


def test_a_window_of_a_later_release_is_left(watch: Watch) -> None:
    watch.take(documents(records(300)))
    again = Watch(bundle(), USE_CASE)
    again.restore({**watch.to_json(), "version": 99})
    assert len(again.window) == 0


def test_after_a_change_of_the_span_a_window_begins_with_its_oldest_record(watch: Watch) -> None:
    watch.take(documents(records(1200)))
    again = spanning(1)
    again.restore(json.loads(json.dumps(watch.to_json())))
    assert again.sampling.since == NOON + 700
    assert not again.sampling.whole
