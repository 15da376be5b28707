"""Records to rows: one path for one record and for many, and nothing guessed."""

from __future__ import annotations

import math
import random

import numpy as np
import orjson
import pytest

from scorehouse.scoring.encoding import Column, Encoder
from scorehouse.usecase import Feature

FEATURES = (
    Feature(name="age", kind="integer", help=""),
    Feature(name="card", kind="category", help="", categories=("blue", "silver", "gold")),
    Feature(name="code", kind="category", help="", categories=(10, 20)),
    Feature(name="amount", kind="number", help=""),
)


@pytest.fixture
def encoder() -> Encoder:
    return Encoder.of(FEATURES)


def test_a_record_becomes_its_row_in_the_features_order(encoder: Encoder) -> None:
    rows = encoder.rows([{"amount": 1.5, "code": 20, "card": "gold", "age": 50}])
    assert rows.dtype == np.float32
    assert rows.tolist() == [[50.0, 2.0, 1.0, 1.5]]


@pytest.mark.parametrize("record", [{}, {"age": None, "card": None, "code": None, "amount": None}])
def test_absent_and_null_are_missing_alike(encoder: Encoder, record: dict[str, None]) -> None:
    assert np.isnan(encoder.rows([record])).all()
    assert encoder.rows([record]).shape == (1, 4)


def test_zero_is_a_value_and_not_missing(encoder: Encoder) -> None:
    assert encoder.rows([{"age": 0, "amount": 0.0, "card": "blue", "code": 10}]).tolist() == [[0.0, 0.0, 0.0, 0.0]]


def test_a_category_without_a_code_is_missing(encoder: Encoder) -> None:
    row = encoder.rows([{"age": 1, "card": "unknown", "code": 30, "amount": 1}])[0]
    assert math.isnan(row[1]) and math.isnan(row[2]) and row[0] == 1


def test_what_the_model_does_not_know_of_a_record_is_left_out(encoder: Encoder) -> None:
    assert encoder.rows([{"age": 1, "prediction_id": "x", "customer_id": 7}]).shape == (1, 4)


def test_one_record_is_encoded_as_it_is_among_thousands(encoder: Encoder) -> None:
    rng = random.Random(3)
    records = [
        {
            "age": rng.choice([None, rng.randint(0, 99)]),
            "card": rng.choice([None, "blue", "silver", "gold", "unknown"]),
            "code": rng.choice([None, 10, 20]),
            "amount": rng.choice([None, rng.random() * 10 ** rng.randint(-20, 20)]),
        }
        for _ in range(1000)
    ]
    together = encoder.rows(records)
    alone = np.vstack([encoder.rows([r]) for r in records])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together, np.array([encoder.row(r) for r in records], dtype=np.float32))


def test_no_record_makes_no_row(encoder: Encoder) -> None:
    assert encoder.rows([]).shape == (0, 4)


def test_the_codes_survive_the_bundle(encoder: Encoder) -> None:
    again = Encoder.from_json(orjson.loads(orjson.dumps(encoder.to_json())))
    records = [{"age": 3, "card": "silver", "code": 20, "amount": None}, {"card": "blue", "code": 10}]
    np.testing.assert_array_equal(again.rows(records), encoder.rows(records))
    assert again.names == ["age", "card", "code", "amount"]


def test_the_bundles_codes_count_and_not_the_order_of_todays_page() -> None:
    trained = Encoder.from_json([{"name": "card", "codes": [["gold", 0.0], ["blue", 1.0]]}])
    assert trained.rows([{"card": "blue"}]).tolist() == [[1.0]]


def test_columns_of_the_same_name_are_read_alike() -> None:
    encoder = Encoder([Column("age"), Column("age")])
    assert encoder.rows([{"age": 4}]).tolist() == [[4.0, 4.0]]
