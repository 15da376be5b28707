from __future__ import annotations

from typing import Any

import orjson
import pytest

from server.web.api.problems import MOST_ERRORS

Records = list[dict[str, Any]]


def test_one_record_gets_one_answer_that_is_journalled_with_its_id(door: Any, toy_records: Records) -> None:
    answer = door.post("/predict", {**toy_records[0], "customer_id": 7})
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert set(answer.json) == {"churn chance", "model_run_id", "prediction_id"}
    assert 0 <= answer.json["churn chance"] <= 1
    [line] = door.journalled()
    assert (line["prediction_id"], line["prediction"]) == (answer.json["prediction_id"], answer.json["churn chance"])
    assert (line["record"], line["customer_id"], line["door"]) == (toy_records[0], 7, "http")


def test_a_record_may_bring_its_own_id(door: Any, toy_records: Records) -> None:
    answer = door.post("/predict", {**toy_records[0], "prediction_id": "mine-1"})
    assert answer.json["prediction_id"] == "mine-1"


def test_one_bad_record_in_a_hundred_gets_its_errors_in_its_place_and_costs_the_others_nothing(
    door: Any, toy_records: Records
) -> None:
    records = [{**r, "prediction_id": f"p{i}"} for i, r in enumerate(toy_records[:100])]
    alone = [door.post("/predict", r).json for r in records]
    records[37]["customer_age"] = "old"
    answer = door.post("/predict", records)
    assert answer.status_code == 200
    assert answer.json[37] == {
        "errors": [
            {
                "field": "customer_age",
                "value": "old",
                "problem": "is not allowed",
                "allowed": "a whole number from 18 to 120, or null",
            }
        ],
    }
    good = [i for i in range(100) if i != 37]
    assert [answer.json[i]["prediction_id"] for i in good] == [f"p{i}" for i in good]
    assert [answer.json[i]["churn chance"] for i in good] == pytest.approx([alone[i]["churn chance"] for i in good])


def test_a_record_that_is_encoded_twice_inside_a_list_is_told_so(door: Any, toy_records: Records) -> None:
    answer = door.post("/predict", [orjson.dumps(toy_records[0]).decode(), toy_records[0]])
    [error] = answer.json[0]["errors"]
    assert error["problem"] == "is a text, not a record: encode it as JSON once"
    assert "prediction_id" in answer.json[1]


def test_an_empty_list_gets_an_empty_list(door: Any) -> None:
    answer = door.post("/predict", [])
    assert (answer.status_code, answer.json) == (200, [])


def test_a_list_of_nothing_but_bad_records_is_refused_with_every_reason(door: Any, toy_records: Records) -> None:
    answer = door.post("/predict", [7, {}, {**toy_records[0], "gender": "X"}])
    assert answer.status_code == 422
    assert answer.json["detail"] == "none of the records can be scored"
    assert [r["errors"][0]["field"] for r in answer.json["records"]] == ["", "customer_age", "gender"]
    assert not [line for line in door.journalled() if line["kind"] == "prediction"]


def test_a_list_may_be_as_long_as_the_setting_says_and_no_longer(door: Any, toy_records: Records) -> None:
    assert len(door.post("/predict", toy_records[:100]).json) == 100
    answer = door.post("/predict", toy_records[:101])
    assert (answer.status_code, answer.json["detail"]) == (413, "a list must not contain more than 100 records")


@pytest.mark.parametrize("body", [b"7", b"null", b'"text"', b"true", b"1.5"])
def test_what_is_neither_a_record_nor_a_list_is_told_so(door: Any, body: bytes) -> None:
    answer = door.post("/predict", body)
    assert answer.status_code == 422
    assert "one record (a JSON object) or a list" in answer.json["detail"]


def test_an_unknown_field_is_named_with_the_nearest_known_one(door: Any, toy_records: Records) -> None:
    answer = door.post("/predict", {**toy_records[0], "custmer_age": 50})
    assert answer.status_code == 422
    assert answer.json["errors"] == [
        {
            "field": "custmer_age",
            "value": 50,
            "problem": "is not a known field",
            "allowed": "a field of this model",
            "nearest": "customer_age",
        }
    ]


def test_a_body_full_of_unknown_fields_is_refused_in_a_short_answer(door: Any, toy_records: Records) -> None:
    answer = door.post("/predict", {**toy_records[0], **{f"field{i}": 1 for i in range(5000)}})
    assert answer.status_code == 422
    assert answer.json["errors"][-1]["problem"] == "more fields are not known"
    assert len(answer.data) < 10_000


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_a_list_of_bad_records_is_refused_in_a_short_answer(door: Any, path: str) -> None:
    bad = [{"customer_age": 50, **{f"a_field_nobody_knows_{i}": 1 for i in range(60)}}] * 100
    answer = door.post(path, bad if path == "/predict" else {"instances": bad})
    assert answer.status_code == 422
    assert all(record["errors"] for record in answer.json["records"])
    assert MOST_ERRORS < sum(len(record["errors"]) for record in answer.json["records"]) <= MOST_ERRORS + len(bad)
    assert len(answer.data) < 60_000


def test_what_is_too_large_or_of_another_type_is_refused(door: Any) -> None:
    assert door.post("/predict", b'"' + b"x" * 200_000 + b'"').status_code == 413
    assert door.client.post("/predict", data="a=1", content_type="text/csv").status_code == 415
