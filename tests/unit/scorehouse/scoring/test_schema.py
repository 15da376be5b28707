"""What a record must look like: what passes, what is refused, and what is said about it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from scorehouse.scoring.encoding import Encoder
from scorehouse.scoring.schema import MORE_UNKNOWN, MOST_UNKNOWN, RecordSchema, Rejected
from scorehouse.usecase import Feature

FEATURES = (
    Feature(name="age", kind="integer", help="Age", required=True, low=18, high=120, unit="years"),
    Feature(name="amount", kind="number", help="Amount", low=0),
    Feature(name="balance", kind="number", help="Balance"),
    Feature(name="card", kind="category", help="Card", required=True, categories=("blue", "gold")),
    Feature(name="code", kind="category", help="Code", categories=(0, 1), nullable=False),
    Feature(name="shop", kind="category", help="Shop", categories=("a",), unseen="missing"),
    Feature(name="member", kind="boolean", help="Member"),
)
GOOD: dict[str, Any] = {"age": 50, "card": "blue"}


@pytest.fixture(scope="module")
def schema() -> RecordSchema:
    return RecordSchema(FEATURES)


def refused(schema: RecordSchema, record: object) -> Rejected:
    answer = schema.check(record)
    assert isinstance(answer, Rejected), f"{record!r} was accepted"
    return answer


@pytest.mark.parametrize(
    "extra",
    [
        {}, {"age": None}, {"age": 18}, {"age": 120}, {"age": 50.0}, {"card": None}, {"card": "unknown"},
        {"amount": 0}, {"amount": 1e38}, {"amount": None}, {"balance": -3e38}, {"code": 0}, {"code": 1},
        {"shop": "never seen"}, {"shop": 7}, {"shop": None}, {"prediction_id": "a-1"},
        {"prediction_id": "x" * 128}, {"prediction_id": None}, {"test": None},
        {"customer_id": 7}, {"customer_id": "c7"}, {"customer_id": None}, {"customer_id": -(2**63)},
        {"customer_id": 1.0}, {"code": 1.0}, {"member": True}, {"member": False}, {"member": None},
    ],
)  # fmt: skip
def test_a_record_that_is_allowed_passes(schema: RecordSchema, extra: dict[str, Any]) -> None:
    checked = schema.check({**GOOD, **extra})
    assert not isinstance(checked, Rejected), checked


@pytest.mark.parametrize(
    "extra",
    [
        {"age": 17}, {"age": 121}, {"age": 50.5}, {"age": "50"}, {"age": True}, {"age": [50]}, {"age": {}},
        {"age": math.nan}, {"age": math.inf}, {"amount": -0.01}, {"amount": "1"}, {"amount": False},
        {"amount": math.inf}, {"amount": 1e39}, {"balance": -1e39}, {"balance": 10**400}, {"card": "Blue"},
        {"card": ""}, {"card": 0}, {"card": ["blue"]}, {"code": 2}, {"code": None}, {"code": "0"}, {"code": True},
        {"code": "unknown"}, {"shop": 1.5}, {"shop": True}, {"prediction_id": ""}, {"prediction_id": 7},
        {"prediction_id": "a b"}, {"prediction_id": "a\n"}, {"prediction_id": "x" * 129},
        {"customer_id": ""}, {"customer_id": 1.5}, {"customer_id": 2**63}, {"customer_id": True},
        {"member": "true"}, {"member": "yes"}, {"member": 2}, {"member": 0.5}, {"member": -1}, {"member": []},
        {"member": math.nan}, {"member": "unknown"},
    ],
)  # fmt: skip
def test_a_record_that_is_not_allowed_is_refused_by_field(schema: RecordSchema, extra: dict[str, Any]) -> None:
    (name,) = extra
    (error,) = refused(schema, {**GOOD, **extra}).errors
    assert error.field == name
    assert error.allowed


@pytest.mark.parametrize(
    ("sent", "meant"), [(True, True), (False, False), (1, True), (0, False), (1.0, True), (0.0, False), (-0.0, False)]
)
def test_a_boolean_is_true_or_false_or_1_or_0_and_becomes_a_boolean(
    schema: RecordSchema, sent: float, meant: bool
) -> None:
    checked = schema.check({**GOOD, "member": sent})
    assert isinstance(checked, dict)
    assert checked["member"] is meant
    assert Encoder.of(FEATURES[-1:]).rows([checked]).tolist() == [[float(meant)]]


def test_what_is_published_about_a_boolean_is_what_is_accepted(schema: RecordSchema) -> None:
    published = schema.json_schema()["properties"]["member"]
    assert published["anyOf"] == [{"enum": [False, True, 0, 1]}, {"type": "null"}]
    assert refused(schema, {**GOOD, "member": "no"}).errors[0].allowed == "true or false, or null"


def test_a_category_may_be_called_unknown() -> None:
    word = RecordSchema([Feature(name="x", kind="category", help="", categories=("known", "unknown"))])
    assert word.json_schema()["properties"]["x"]["anyOf"][0] == {"enum": ["known", "unknown"]}
    assert word.check({"x": "unknown"}) == {"x": "unknown"}


@pytest.mark.parametrize("record", [None, 7, "text", [], [GOOD], True])
def test_what_is_no_record_is_refused_as_such(schema: RecordSchema, record: object) -> None:
    (error,) = refused(schema, record).errors
    assert error.field == "" and "JSON object" in error.allowed


def test_a_checked_record_says_what_the_record_said(schema: RecordSchema) -> None:
    record = {**GOOD, "amount": 3, "card": "unknown", "code": 1.0, "customer_id": 7}
    assert schema.check(record) == record
    assert schema.check({**GOOD, "age": 50.0}) == {"age": 50, "card": "blue"}


@pytest.mark.parametrize("age", [18 + 1e-9, 50.0000001, 119.99999999999])
def test_a_whole_number_is_exactly_whole(schema: RecordSchema, age: float) -> None:
    assert [e.field for e in refused(schema, {**GOOD, "age": age}).errors] == ["age"]


def test_every_bad_field_is_named_with_its_value_and_what_is_allowed(schema: RecordSchema) -> None:
    errors = {e.field: e for e in refused(schema, {"age": 17, "amount": -1, "code": 5, "crd": "blue"}).errors}
    assert set(errors) == {"age", "amount", "code", "crd", "card"}
    assert (errors["age"].value, errors["age"].allowed) == (17, "a whole number from 18 to 120, or null")
    assert errors["card"].problem == "is missing"
    assert (errors["crd"].problem, errors["crd"].nearest) == ("is not a known field", "card")


def test_the_reason_repeats_no_value(schema: RecordSchema) -> None:
    reason = refused(schema, {**GOOD, "age": 987654}).reason
    assert "age" in reason and "987654" not in reason


@pytest.mark.parametrize("count", [MOST_UNKNOWN + 1, 9, 21, 1234])
def test_many_unknown_fields_are_one_reason_whatever_their_number(schema: RecordSchema, count: int) -> None:
    errors = refused(schema, {**GOOD, "age": 17, **{f"z{i}": 1 for i in range(count)}}).errors
    assert [e.problem for e in errors].count("is not a known field") == MOST_UNKNOWN
    assert [e for e in errors if e.field == "age"]
    assert errors[-1].problem == MORE_UNKNOWN
    assert len(errors) == MOST_UNKNOWN + 2


def test_a_few_unknown_fields_are_all_named(schema: RecordSchema) -> None:
    errors = refused(schema, {**GOOD, **{f"z{i}": 1 for i in range(MOST_UNKNOWN)}}).errors
    assert [e.field for e in errors] == [f"z{i}" for i in range(MOST_UNKNOWN)]


def test_long_values_and_structures_are_not_repeated_whole(schema: RecordSchema) -> None:
    (error,) = refused(schema, {**GOOD, "card": "x" * 5000}).errors
    assert len(error.value) == 80
    (error,) = refused(schema, {**GOOD, "age": {"a": [1] * 1000}}).errors
    assert error.value == "dict"
    (error,) = refused(schema, {**GOOD, "age": 10**300}).errors
    assert error.value == "an integer of 301 digits"


def test_the_published_schema_says_what_the_check_does(schema: RecordSchema) -> None:
    published = schema.json_schema()
    assert set(published["required"]) == {"age", "card"}
    assert published["additionalProperties"] is False
    age, code = published["properties"]["age"], published["properties"]["code"]
    assert age["anyOf"] == [{"type": "integer", "minimum": 18, "maximum": 120}, {"type": "null"}]
    assert age["description"] == "Age (years)"
    assert code["enum"] == [0, 1]
    assert published["properties"]["card"]["anyOf"][0]["enum"] == ["blue", "gold", "unknown"]
    assert published["properties"]["balance"]["anyOf"][0]["maximum"] < 3.5e38
