"""The one data plane: order is kept, and a bad record costs the others nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scorehouse.scoring.encoding import Encoder, Matrix
from scorehouse.scoring.schema import RecordSchema, Rejected
from scorehouse.scoring.scorer import FEW, Scorer
from scorehouse.usecase import Feature, Record

FEATURES = (Feature(name="x", kind="number", help="", required=True),)
DOUBLED = Feature(name="doubled", kind="number", help="")


def derive(record: Record) -> Record:
    x = record["x"]
    return {**record, "doubled": None if x is None else 2 * float(x)}


def scorer(predict: Any = None) -> Scorer:
    return Scorer(
        RecordSchema(FEATURES), derive, Encoder.of((*FEATURES, DOUBLED)), predict or (lambda r: r.sum(axis=1))
    )


def test_each_record_gets_its_prediction_in_its_place() -> None:
    assert scorer().score([{"x": 1}, {"x": 2}, {"x": -3}]) == [3.0, 6.0, -9.0]


def test_bad_records_get_their_reasons_in_their_places() -> None:
    answers = scorer().score([{"x": 1}, {"x": "1"}, {}, {"x": 4}, None])
    assert [isinstance(a, Rejected) for a in answers] == [False, True, True, False, True]
    assert [a for a in answers if not isinstance(a, Rejected)] == [3.0, 12.0]


def test_all_bad_records_never_reach_the_model() -> None:
    def predict(rows: Matrix) -> Any:
        raise AssertionError("the model was asked")

    answers = scorer(predict).score([{}, {"x": "no"}])
    assert len(answers) == 2 and all(isinstance(a, Rejected) for a in answers)
    assert scorer(predict).score([]) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_record_without_a_finite_answer_is_refused_and_the_others_are_answered(bad: float) -> None:
    first, second = scorer(lambda rows: np.array([bad, 0.5])).score([{"x": 1}, {"x": 2}])
    assert isinstance(first, Rejected) and "finite" in first.reason
    assert second == 0.5


def test_a_record_whose_derived_features_fail_to_derive_is_refused_and_costs_no_other() -> None:
    def inverse(record: Record) -> Record:
        return {**record, "doubled": 1 / float(record["x"] or 0)}

    one = Scorer(RecordSchema(FEATURES), inverse, Encoder.of((*FEATURES, DOUBLED)), lambda rows: rows[:, 1])
    first, second, third = one.score([{"x": 2}, {"x": 0}, {"x": 4}])
    assert (first, third) == (0.5, 0.25)
    assert isinstance(second, Rejected) and "ZeroDivisionError" in second.reason


def test_the_answers_are_plain_numbers_that_json_knows() -> None:
    (one,) = scorer(lambda rows: np.array([0.25], dtype=np.float32)).score([{"x": 1}])
    assert type(one) is float
    (label,) = scorer(lambda rows: np.array([3], dtype=np.int64)).score([{"x": 1}])
    assert type(label) is int


def test_rows_that_were_encoded_before_are_scored_alike() -> None:
    one = scorer()
    rows = one.rows([{"x": 1.0}, {"x": 2.0}])
    assert one.score_rows(rows).tolist() == one.score([{"x": 1}, {"x": 2}])


def test_a_few_records_are_scored_one_by_one_and_many_as_a_batch() -> None:
    features, asked = (*FEATURES, DOUBLED), []

    def batch(rows: Matrix) -> Any:
        asked.append(len(rows))
        return rows.sum(axis=1)

    quicker = Scorer(RecordSchema(FEATURES), derive, Encoder.of(features), batch, sum)
    for count in range(FEW + 3):
        assert quicker.score([{"x": i} for i in range(count)]) == [3.0 * i for i in range(count)]
    assert asked == [FEW + 1, FEW + 2]
    good, bad = quicker.score([{"x": 1}, {"x": None}])
    assert good == 3.0 and isinstance(bad, Rejected)
