from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pandas as pd
import pytest

from server.web.api.invocations import to_records
from server.web.api.problems import Problem

NAMES = ["a", "b"]
TWO = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
FRAME = pd.DataFrame(TWO)


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}},
        {"dataframe_split": {"columns": ["b", "a"], "data": [[2, 1], [4, 3]], "index": [0, 1]}},
        {"dataframe_split": {"data": [[1, 2], [3, 4]]}},
        {"dataframe_records": TWO},
        {"instances": TWO},
        {"instances": [[1, 2], [3, 4]]},
        {"inputs": TWO},
        {"inputs": {"a": [1, 3], "b": [2, 4]}},
        {"a": [1, 3], "b": [2, 4]},
        pytest.param(TWO, id="a bare list"),
        pytest.param([[1, 2], [3, 4]], id="bare rows"),
        pytest.param({"columns": ["a", "b"], "index": [0, 1], "data": [[1, 2], [3, 4]]}, id="MLflow 1's pandas-split"),
        pytest.param(json.loads(FRAME.to_json(orient="split")), id="pandas, split"),
        pytest.param(json.loads(FRAME.to_json(orient="records")), id="pandas, records"),
        pytest.param(json.loads(FRAME.to_json(orient="values")), id="pandas, values"),
        pytest.param(json.loads(FRAME.to_json()), id="pandas, columns"),
        pytest.param(json.loads(FRAME.to_json(orient="index")), id="pandas, index"),
        pytest.param(FRAME.to_dict(orient="tight"), id="pandas, tight"),
        pytest.param({"dataframe_split": FRAME.to_json(orient="split")}, id="a split as text"),
        pytest.param({"dataframe_records": FRAME.to_json(orient="records")}, id="records as text"),
        pytest.param({"inputs": FRAME.to_json()}, id="columns as text"),
        pytest.param({"inputs": FRAME.to_dict(orient="split")}, id="a split as inputs"),
        pytest.param({"instances": [{"features": [1, 2]}, {"features": [3, 4]}]}, id="SageMaker's features"),
        pytest.param([{"features": [1, 2]}, {"features": [3, 4]}], id="SageMaker's features on lines"),
    ],
)
def test_every_format_gives_the_same_records(body: dict[str, Any]) -> None:
    assert to_records(body, NAMES, 100) == TWO


def test_a_single_record_may_come_as_plain_values() -> None:
    assert to_records({"a": 1, "b": 2}, NAMES, 100) == [{"a": 1, "b": 2}]


def test_a_feature_may_have_the_name_of_a_form() -> None:
    assert to_records({"data": [1, 2]}, ["data"], 100) == [{"data": 1}, {"data": 2}]
    assert to_records([{"features": [1]}], ["features"], 100) == [{"features": [1]}]


def test_a_bare_list_without_rows_has_no_records() -> None:
    assert to_records([], NAMES, 100) == []


@pytest.mark.parametrize("key", ["dataframe_records", "instances", "inputs"])
def test_no_rows_are_no_records(key: str) -> None:
    assert to_records({key: []}, NAMES, 100) == []


def test_what_is_no_record_is_left_for_the_schema_to_refuse_in_its_place() -> None:
    assert to_records({"instances": [TWO[0], 7, None]}, NAMES, 100) == [TWO[0], 7, None]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "the body has no records: send "),
        ("text", "the body has no records: send "),
        (None, "the body has no records: send "),
        ({"dataframe_split": 5}, "dataframe_split has no records: send "),
        ({"dataframe_split": TWO}, "dataframe_split has no records: send "),
        ({"dataframe_split": "a,b"}, "dataframe_split has no records: send "),
        ({"dataframe_split": {"data": 5}}, "a split has columns, a list of names, and data, a list of rows: send "),
        ({"dataframe_split": {"columns": "ab", "data": []}}, "a split has columns"),
        ({"dataframe_split": {"columns": [1, 2], "data": []}}, "a split has columns"),
        ({"instances": {}}, "instances has no records: send "),
        ([TWO], r"row 0 \(counted from 0\) is a list of rows: send "),
        ({"instances": [[[1, 2], [3, 4]]]}, r"row 0 \(counted from 0\) is a list of rows: send "),
        ({"rows": TWO}, r"none of the body's names is a format or a field \('rows'\): send "),
        ({"a": {"0": 1}, "b": {"1": 2}}, "all columns must have the same rows"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, "twice"),
        (
            {"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}},
            r"row 0 \(counted from 0\) has 2 values, but there are 1 columns: a",
        ),
        ({"instances": [[1]]}, "1 values, but there are 2 columns: a, b"),
        ({"a": [1], "b": [1, 2]}, "same length"),
        ({"a": [1], "b": 2}, "same length"),
        ({"instances": TWO, "inputs": TWO}, "instances and inputs: send one"),
    ],
)
def test_what_has_none_of_the_formats_is_refused_with_the_reason(body: Any, reason: str) -> None:
    with pytest.raises(Problem, match=reason) as caught:
        to_records(body, NAMES, 100)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    "body",
    [
        {"a": 200_000 * [1], "b": 200_000 * [2]},
        {"inputs": {"a": 200_000 * [1]}},
        {"instances": 200_000 * [[1, 2]]},
        {"dataframe_split": {"columns": ["a", "b"], "data": 200_000 * [[1, 2]]}},
        {"dataframe_records": 200_000 * [{}]},
        200_000 * [[1, 2]],
        {"a": dict.fromkeys(map(str, range(200_000)), 1)},
    ],
)
def test_too_many_rows_are_refused_before_a_record_is_made(body: Any) -> None:
    """With all of them made first, four bodies of 1 MB took 411 MB of the scorer's 768."""
    tracemalloc.start()
    try:
        with pytest.raises(Problem, match="more than 100 records") as refused:
            to_records(body, NAMES, 100)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert refused.value.status == 413


def test_the_route_answers_as_predict_does_and_journals_each_row(door: Any, toy_records: list[dict[str, Any]]) -> None:
    one_by_one = [door.post("/predict", r).json["churn chance"] for r in toy_records[:5]]
    together = door.post("/invocations", {"dataframe_records": toy_records[:5]}).json
    assert together["predictions"] == pytest.approx(one_by_one, abs=1e-7)
    assert len(door.journalled()) == 10


def test_one_bad_row_refuses_all_and_is_named_by_its_place(door: Any, toy_records: list[dict[str, Any]]) -> None:
    answer = door.post("/invocations", {"instances": [*toy_records[:2], {**toy_records[2], "gender": "X"}]})
    assert answer.status_code == 422
    assert answer.json["detail"] == "1 of 3 records cannot be scored"
    assert [(r["index"], r["errors"][0]["field"]) for r in answer.json["records"]] == [(2, "gender")]


def test_more_rows_than_a_request_may_hold_are_refused(door: Any) -> None:
    assert door.post("/invocations", {"instances": [{}] * 101}).status_code == 413
