"""Between parsing and answering: ids, the journal first, one model per request, and outcomes in order."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import orjson
import pytest

from scorehouse.bundles.bundle import Bundle
from scorehouse.errors import JournalError
from scorehouse.journal.journal import Journal, Segment, segments
from scorehouse.scoring.encoding import Encoder
from scorehouse.scoring.schema import RecordSchema, Rejected
from scorehouse.scoring.scorer import Scorer
from scorehouse.serving import recent_ids
from scorehouse.serving.serving import Answer, Model, NotServing, Serving
from scorehouse.usecase import Feature

FEATURES = (Feature(name="x", kind="number", help="", required=True),)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def model(run_id: str, factor: float) -> Model:
    manifest = SimpleNamespace(run_id=run_id, answer="chance", classes=[])
    scorer = Scorer(RecordSchema(FEATURES), lambda r: r, Encoder.of(FEATURES), lambda rows: factor * rows[:, 0])
    return Model(cast("Bundle", SimpleNamespace(manifest=manifest)), scorer)


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    numbers = itertools.count()

    def new_ids(count: int) -> list[str]:
        return [f"id-{next(numbers)}" for _ in range(count)]

    one = Serving("churn", "http", Journal(tmp_path, "http"), new_ids, lambda: NOON)
    one.model = model("run-1", 2.0)
    return one


def journalled(folder: Path, kind: str = "prediction") -> list[dict[str, Any]]:
    lines = [orjson.loads(line) for path in segments(folder) for line in Segment(path).read()[0]]
    return [line for line in lines if line["kind"] == kind]


def test_an_answer_carries_prediction_run_and_id_and_is_journalled_whole(serving: Serving, tmp_path: Path) -> None:
    [answer] = serving.answer([{"x": 3, "customer_id": 7}])
    assert answer == Answer(prediction=6.0, run_id="run-1", prediction_id="id-0")
    assert answer.to_json("chance") == {"chance": 6.0, "model_run_id": "run-1", "prediction_id": "id-0"}
    assert journalled(tmp_path) == [
        {
            "kind": "prediction", "prediction_id": "id-0", "use_case": "churn", "model_run_id": "run-1",
            "created_at": "2026-11-21T12:00:00+00:00", "door": "http", "record": {"x": 3}, "prediction": 6.0,
            "customer_id": 7,
        }
    ]  # fmt: skip


def test_a_records_own_id_is_kept_and_the_doors_ids_are_used_where_there_is_none(serving: Serving) -> None:
    answers = serving.answer([{"x": 1, "prediction_id": "mine"}, {"x": 2}], ids=["door-0", "door-1"])
    assert [a.prediction_id for a in answers if isinstance(a, Answer)] == ["mine", "door-1"]


def test_an_id_of_null_is_none_and_no_two_records_share_it(serving: Serving, tmp_path: Path) -> None:
    none = {"prediction_id": None, "customer_id": None, "test": None}
    answers = serving.answer([{"x": 1, **none}, {"x": 2, **none}])
    assert [a.prediction_id for a in answers if isinstance(a, Answer)] == ["id-0", "id-1"]
    lines = journalled(tmp_path)
    assert [line["record"] for line in lines] == [{"x": 1}, {"x": 2}]
    assert all("test" not in line and line["customer_id"] is None for line in lines)


def test_bad_records_are_answered_in_their_place_and_only_counted_in_the_journal(
    serving: Serving, tmp_path: Path
) -> None:
    answers = serving.answer([{"x": 1}, {"y": 1}, {"x": 2}])
    assert [isinstance(a, Rejected) for a in answers] == [False, True, False]
    assert [p["record"] for p in journalled(tmp_path)] == [{"x": 1}, {"x": 2}]
    assert [c["records"] for c in journalled(tmp_path, "rejected")] == [1]


def test_all_or_none_journals_no_prediction_that_nobody_was_told(serving: Serving, tmp_path: Path) -> None:
    serving.answer([{"x": 1}, {"y": 1}, {"x": 2}], all_or_none=True)
    assert journalled(tmp_path) == []
    assert [c["records"] for c in journalled(tmp_path, "rejected")] == [1]
    serving.answer([{"x": 1}, {"x": 2}], all_or_none=True)
    assert [p["record"] for p in journalled(tmp_path)] == [{"x": 1}, {"x": 2}]


def test_what_can_be_answered_is_and_the_rest_leaves_no_trace(serving: Serving, tmp_path: Path) -> None:
    running = model("run-1", 2.0)
    answers = serving.answer_valid([{"x": 1}, {"y": 1}, None, {"x": 2, "prediction_id": "mine"}], running, [None] * 4)
    assert [answers[0], answers[3]] == [Answer(2.0, "run-1", "id-0"), Answer(4.0, "run-1", "mine")]
    assert isinstance(answers[1], Rejected) and isinstance(answers[2], Rejected)
    assert [p["prediction_id"] for p in journalled(tmp_path)] == ["id-0", "mine"]
    assert journalled(tmp_path, "rejected") == []
    [refused] = serving.answer_valid([{"y": 1}], running, [None])
    assert isinstance(refused, Rejected) and journalled(tmp_path, "rejected") == []


def test_a_request_may_keep_the_model_that_it_took_while_another_is_swapped_in(serving: Serving) -> None:
    taken = serving.require_model()
    serving.model = model("run-2", 3.0)
    assert serving.answer([{"x": 1}], model=taken) == [Answer(2.0, "run-1", "id-0")]
    assert serving.answer([{"x": 1}]) == [Answer(3.0, "run-2", "id-1")]


def test_without_a_model_nothing_is_answered(serving: Serving, tmp_path: Path) -> None:
    serving.model = None
    with pytest.raises(NotServing, match="RUN_ID"):
        serving.answer([{"x": 1}])
    assert journalled(tmp_path) == []


def test_what_cannot_be_journalled_is_not_answered(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one = Serving("churn", "http", Journal(tmp_path / "file", "http"))
    one.model = model("run-1", 1.0)
    with pytest.raises(JournalError):
        one.answer([{"x": 1}])
    with pytest.raises(JournalError):
        one.accept_outcomes([{"prediction_id": "a", "outcome": 1.0}])


def test_ids_are_made_so_that_none_repeats(tmp_path: Path) -> None:
    one = Serving("churn", "http", Journal(tmp_path, "http"))
    one.model = model("run-1", 1.0)
    answers = one.answer([{"x": 1}] * 1000) + one.answer([{"x": 1}])
    ids = [a.prediction_id for a in answers if isinstance(a, Answer)]
    assert len(set(ids)) == 1001 and all(len(i) == 32 for i in ids)


def test_a_swap_under_load_never_mixes_one_runs_id_with_anothers_prediction(serving: Serving) -> None:
    first, second = model("run-1", 2.0), model("run-2", 3.0)
    mixed: list[Any] = []
    stop = False

    def ask() -> None:
        while not stop:
            for answer in serving.answer([{"x": 1}, {"x": 10}]):
                assert isinstance(answer, Answer)
                factor = {"run-1": 2.0, "run-2": 3.0}[answer.run_id]
                if answer.prediction not in (factor, 10 * factor):
                    mixed.append(answer)

    threads = [Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    for i in range(2000):
        serving.model = second if i % 2 else first
    stop = True
    for t in threads:
        t.join()
    assert mixed == []


def outcome_times(folder: Path) -> list[str]:
    return [d["outcome_at"] for d in journalled(folder, "outcome")]


def test_two_outcomes_of_one_request_are_ordered(serving: Serving, tmp_path: Path) -> None:
    serving.accept_outcomes([{"prediction_id": "a", "outcome": 0.0}, {"prediction_id": "a", "outcome": 1.0}])
    first, second = outcome_times(tmp_path)
    assert first < second


def test_a_correction_counts_though_the_clock_steps_back(tmp_path: Path) -> None:
    clock = iter([NOON, NOON - timedelta(hours=1), NOON - timedelta(hours=2), NOON + timedelta(seconds=1)])
    one = Serving("churn", "http", Journal(tmp_path, "http"), now=lambda: next(clock))
    for value in (0.0, 1.0, 0.0, 1.0):
        one.accept_outcomes([{"prediction_id": "a", "outcome": value}])
    times = outcome_times(tmp_path)
    assert times == sorted(times) and len(set(times)) == 4
    assert times[-1] == "2026-11-21T12:00:01+00:00"


def test_no_outcomes_are_no_error(serving: Serving, tmp_path: Path) -> None:
    serving.accept_outcomes([])
    assert journalled(tmp_path, "outcome") == []


def test_the_record_is_journalled_as_it_came_and_not_as_it_was_encoded(serving: Serving, tmp_path: Path) -> None:
    serving.answer([{"x": 1}])
    assert type(journalled(tmp_path)[0]["record"]["x"]) is int
    assert np.isfinite(journalled(tmp_path)[0]["prediction"])


def test_a_second_record_under_a_clients_id_is_refused_and_the_same_record_is_answered_again(
    serving: Serving, tmp_path: Path
) -> None:
    mine = {"x": 1, "prediction_id": "mine", "customer_id": 7}
    for sent in (mine, {**mine, "x": 1.0, "customer_id": 8}):
        assert serving.answer([sent]) == [Answer(2.0, "run-1", "mine")]
    first, second, other = serving.answer([{**mine, "x": 2}, {"x": 3, "prediction_id": "new"}, {**mine, "x": 4}])
    assert isinstance(first, Rejected) and isinstance(other, Rejected) and isinstance(second, Answer)
    assert first.to_json() == [
        {
            "field": "prediction_id", "value": "mine", "problem": "was used for another record",
            "allowed": "a new id for a new record, or the same record again",
        }
    ]  # fmt: skip
    assert [p["record"]["x"] for p in journalled(tmp_path)] == [1, 1.0, 3]
    assert journalled(tmp_path, "rejected")[-1]["reasons"] == [
        {"reason": "prediction_id was used for another record", "records": 2}
    ]


def test_an_id_whose_record_was_not_kept_is_free_again(
    serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving.answer([{"x": 1, "prediction_id": "mine"}, {"y": 1}], all_or_none=True)
    with monkeypatch.context() as patch, pytest.raises(JournalError):
        patch.setattr(serving.journal, "append", lambda lines: (_ for _ in ()).throw(JournalError("the disk is full")))
        serving.answer([{"x": 2, "prediction_id": "mine"}])
    assert isinstance(serving.answer([{"x": 3, "prediction_id": "mine"}])[0], Answer)
    assert [p["record"] for p in journalled(tmp_path)] == [{"x": 3}]


def test_only_the_last_ids_are_remembered(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_ids, "MOST", 100)
    for n in range(1000):
        serving.answer([{"x": n, "prediction_id": f"p{n}"}])
    known = {*serving._recent._newer, *serving._recent._older}
    assert 50 <= len(known) <= 100 and {f"p{n}" for n in range(950, 1000)} <= known
    assert isinstance(serving.answer([{"x": 0, "prediction_id": "p999"}])[0], Rejected)


def test_an_outcome_line_names_its_use_case(serving: Serving, tmp_path: Path) -> None:
    serving.accept_outcomes([{"prediction_id": "a", "outcome": 1.0}])
    assert [line["use_case"] for line in journalled(tmp_path, "outcome")] == ["churn"]


def test_a_check_is_marked_in_the_journal_and_the_model_does_not_see_the_mark(serving: Serving, tmp_path: Path) -> None:
    serving.answer([{"x": 1, "test": True}, {"x": 2, "test": False}, {"x": 3}])
    assert [p.get("test") for p in journalled(tmp_path)] == [True, None, None]
    assert [p["record"] for p in journalled(tmp_path)] == [{"x": 1}, {"x": 2}, {"x": 3}]
    [refused] = serving.answer([{"x": 1, "test": "yes"}])
    assert isinstance(refused, Rejected) and refused.errors[0].allowed == "true, false, or null"


def test_a_check_that_is_refused_is_left_out_of_the_monitors_counts(serving: Serving, tmp_path: Path) -> None:
    serving.answer([{"x": "no number", "test": True}, 7])
    [counted] = journalled(tmp_path, "rejected")
    assert counted["records"] == 1
    serving.answer([{"x": "no number", "test": True}])
    serving.answer([{"x": 1}], all_or_none=True)
    assert len(journalled(tmp_path)) == 1
