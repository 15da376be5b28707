"""A message of another service is not called a record with many faults: its sender is told what to send instead."""

from __future__ import annotations

import gzip
import json
import time
from base64 import b64encode
from typing import Any

import pytest

from scorehouse.pages.loading import load_use_case
from scorehouse.scoring.schema import RecordSchema, Rejected

R = {"customer_age": 50, "gender": "M", "credit_limit": 4000}
TEXT = json.dumps(R)
CODED = b64encode(TEXT.encode()).decode()
SCHEMA = RecordSchema(load_use_case("churn").features)


def reason(message: Any) -> str:
    checked = SCHEMA.check(message)
    assert isinstance(checked, Rejected)
    return checked.reason


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ({"records": [{"recordId": "1", "data": CODED}]}, "records[0].data (base64)"),
        ({"messageType": "DATA_MESSAGE", "logEvents": [{"message": TEXT}]}, "logEvents[0].message (JSON in a text)"),
        ({"data": R, "metadata": {"operation": "load"}}, "data"),
        ({"schema": {}, "payload": {"before": None, "after": R}}, "payload.after"),
        ({"Type": "Notification", "Message": TEXT}, "Message (JSON in a text)"),
        ({"eventName": "INSERT", "dynamodb": {"NewImage": {"gender": {"S": "M"}}}}, "dynamodb.NewImage"),
        ({"version": "0", "detail-type": "x", "detail": R}, "detail"),
        ({"specversion": "1.0", "data_base64": CODED}, "data_base64 (base64)"),
        ({"Records": [{"kinesis": {"data": CODED}}]}, "Records[0].kinesis.data (base64)"),
        ({"type": "track", "userId": "u", "properties": R}, "properties"),
        ({"instances": [R, R]}, "instances[0]"),
        ({"customer": R}, "customer"),
        ({"customer_id": 7, "features": R}, "features"),
    ],
)
def test_a_record_in_an_envelope_is_found(message: dict[str, Any], place: str) -> None:
    assert reason(message).startswith("has no field of this model: its fields are customer_age, gender, ")
    assert reason(message).endswith(f"; send what is in {place} as a record of its own")


@pytest.mark.parametrize(
    "message",
    [
        {"Records": [{"s3": {"bucket": {"name": "b"}}}]},
        {"awslogs": {"data": b64encode(gzip.compress(TEXT.encode())).decode()}},
        {"dataframe_split": {"columns": list(R), "data": [list(R.values())]}},
        {"event": "page view"},
    ],
)
def test_what_holds_no_record_is_told_the_fields(message: dict[str, Any]) -> None:
    assert reason(message).startswith("has no field of this model: its fields are customer_age")
    assert "send what is in" not in reason(message)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"prediction_id": "x"},
        {"Customer_Age": 50, "Gender": "M"},
        {"customerAge": 50},
        {"custmer_age": 50},
    ],
)
def test_a_record_whose_names_are_misspelt_is_told_field_by_field(record: dict[str, Any]) -> None:
    assert "customer_age: is missing" in reason(record)
    assert "has no field" not in reason(record)


def test_a_hostile_message_costs_little_and_its_reason_is_short() -> None:
    deep: Any = "x"
    for _ in range(300):
        deep = {"a" * 500: [deep, deep]}
    wide = {f"k{i}": {f"k{j}": "[" * 1000 for j in range(300)} for i in range(300)}
    for message in (deep, wide, {"text": "[" * 10**6}, {"text": "QUJD" * 10**6}):
        began = time.thread_time()
        assert len(reason(message)) < 600
        assert time.thread_time() - began < 0.5
