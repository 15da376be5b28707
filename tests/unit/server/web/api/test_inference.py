"""The Open Inference Protocol over REST: what a client may send, what it gets, and what is refused."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import orjson
import pytest

from server.web.api import tensors
from server.web.api.problems import Problem

Records = list[dict[str, Any]]
PATH = "/v2/models/churn/infer"
TYPES = {"integer": "INT64", "number": "FP64", "boolean": "BOOL"}


def inputs(door: Any, records: Records, *shape: int) -> list[dict[str, Any]]:
    """Records as a tensor for each field."""
    model = {one["name"]: one for one in door.client.get("/v2/models/churn").json["inputs"]}
    return [
        {
            "name": name, "datatype": model[name]["datatype"], "shape": [len(records), *shape],
            "data": [record.get(name) for record in records],
        }
        for name in records[0]
    ]  # fmt: skip


def infer(door: Any, body: Any, path: str = PATH) -> Any:
    return door.post(path, body)


def outputs(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for one in answer.json["outputs"]}


def predicted(door: Any, records: Records) -> list[float]:
    return [one["churn chance"] for one in door.post("/predict", records).json]


def test_a_server_says_what_it_is_and_whether_it_is_ready(door: Any) -> None:
    assert door.client.get("/v2").json == {"name": "scorehouse", "version": "2", "extensions": ["binary_tensor_data"]}
    assert door.client.get("/v2/health/live").json == {"live": True}
    run = door.serving.model.run_id
    for path in ("/v2/health/ready", "/v2/models/churn/ready", f"/v2/models/churn/versions/{run}/ready"):
        assert (door.client.get(path).status_code, door.client.get(path).json["ready"]) == (200, True)


def test_the_metadata_are_the_schema_s(door: Any) -> None:
    about = door.client.get("/v2/models/churn").json
    assert (about["name"], about["versions"]) == ("churn", [door.serving.model.run_id])
    by_name = {one["name"]: one for one in about["inputs"]}
    for feature in door.serving.model.bundle.features:
        expected = TYPES.get(feature.kind, "BYTES" if isinstance((feature.categories or ("",))[0], str) else "INT64")
        assert by_name[feature.name]["datatype"] == expected
        assert by_name[feature.name]["parameters"] == {"required": feature.required}
    assert [one["name"] for one in about["outputs"]] == ["churn chance", "prediction_id"]
    assert door.client.get(f"/v2/models/churn/versions/{door.serving.model.run_id}").json == about


def test_tensors_and_records_are_answered_as_by_predict(door: Any, toy_records: Records) -> None:
    records = toy_records[:7]
    expected = predicted(door, records)
    for given in (inputs(door, records), inputs(door, records, 1)):
        found = outputs(infer(door, {"inputs": given}))
        assert found["churn chance"]["data"] == expected
        assert (found["churn chance"]["datatype"], found["churn chance"]["shape"]) == ("FP64", [7])
    rows = {"name": "record", "datatype": "BYTES", "shape": [7], "data": [orjson.dumps(r).decode() for r in records]}
    assert outputs(infer(door, {"inputs": [rows]}))["churn chance"]["data"] == expected


def test_binary_tensors_are_read(door: Any, toy_records: Records) -> None:
    records = toy_records[:3]
    described, content = [], b""
    for one in inputs(door, records):
        if one["datatype"] == "BYTES":
            data = b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in one["data"])
        else:
            if None in one["data"]:  # only floats have a mark for a missing value
                one |= {"datatype": "FP64", "data": [np.nan if v is None else v for v in one["data"]]}
            kind = {"INT64": "<i8", "FP64": "<f8", "BOOL": "?"}[one["datatype"]]
            data = np.array(one["data"], dtype=kind).tobytes()
        described.append({k: one[k] for k in ("name", "datatype", "shape")})
        described[-1]["parameters"] = {"binary_data_size": len(data)}
        content += data
    head = orjson.dumps({"inputs": described})
    answer = door.client.post(
        PATH, data=head + content, content_type="application/octet-stream",
        headers={"Inference-Header-Content-Length": str(len(head))},
    )  # fmt: skip
    assert outputs(answer)["churn chance"]["data"] == predicted(door, records)


def test_the_id_is_the_prediction_id(door: Any, toy_records: Records) -> None:
    answer = infer(door, {"id": "mine", "inputs": inputs(door, toy_records[:1])})
    assert answer.json["id"] == "mine" and outputs(answer)["prediction_id"]["data"] == ["mine"]
    both = outputs(infer(door, {"id": "two", "inputs": inputs(door, toy_records[:2])}))
    assert both["prediction_id"]["data"] == ["two:0", "two:1"]
    kept = [line["prediction_id"] for line in door.journalled() if line["kind"] == "prediction"]
    assert kept[-3:] == ["mine", "two:0", "two:1"]
    other = infer(door, {"id": "mine", "inputs": inputs(door, toy_records[1:2])})
    assert other.status_code == 400 and "prediction_id" in other.json["error"]


def test_one_record_that_cannot_be_scored_refuses_all(door: Any, toy_records: Records) -> None:
    before = len(door.journalled())
    given = inputs(door, toy_records[:3])
    age = next(one for one in given if one["name"] == "customer_age")
    age["data"] = [40, -1, 50]
    answer = infer(door, {"inputs": given})
    assert answer.status_code == 400
    assert answer.json["error"].startswith("1 of 3 records cannot be scored: record 1: customer_age")
    assert not [line for line in door.journalled()[before:] if line["kind"] == "prediction"]


def test_only_the_asked_outputs_are_sent(door: Any, toy_records: Records) -> None:
    given = inputs(door, toy_records[:1])
    assert list(outputs(infer(door, {"inputs": given, "outputs": [{"name": "churn chance"}]}))) == ["churn chance"]
    assert "there is no output 'x'" in infer(door, {"inputs": given, "outputs": [{"name": "x"}]}).json["error"]


@pytest.mark.parametrize(
    ("path", "said"),
    [("/v2/models/wine", "there is no model 'wine'"), ("/v2/models/churn/versions/7", "the version '7' is not served")],
)
def test_another_model_or_version_is_not_found(door: Any, path: str, said: str) -> None:
    for answer in (door.client.get(path), door.client.get(f"{path}/ready"), door.post(f"{path}/infer", {"inputs": []})):
        assert answer.status_code == 404 and answer.json["error"].startswith(said)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "is not JSON"),
        ([], "the request must be a JSON object"),
        ({}, "the request must have inputs"),
        ({"inputs": []}, "the request has no inputs"),
        ({"inputs": [7]}, "an input must be"),
        ({"inputs": [{"name": "a", "datatype": "FP128", "shape": [1], "data": [1]}]}, "must have a datatype"),
        ({"inputs": [{"name": "a", "datatype": ["FP64"], "shape": [1], "data": [1]}]}, "must have a datatype"),
        ({"inputs": [{"name": "a", "datatype": {}, "shape": [1], "data": [1]}]}, "must have a datatype"),
        ({"inputs": [{"name": "a", "datatype": "FP64", "shape": [], "data": [1]}]}, "must have a shape"),
        ({"inputs": [{"name": "a", "datatype": "FP64", "shape": [-1], "data": [1]}]}, "must have a shape"),
        ({"inputs": [{"name": "a", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}]}, "must have the shape [n]"),
        ({"inputs": [{"name": "a", "datatype": "FP64", "shape": [2], "data": [1]}]}, "not those of its shape [2]"),
        ({"inputs": [{"name": "a", "datatype": "FP64", "shape": [1], "data": [{}]}]}, "must be numbers"),
        ({"inputs": [{"name": "a", "datatype": "FP64", "shape": [1]}]}, "must have data"),
        ({"inputs": [{"name": "a", "datatype": "FP64", "shape": [0], "data": []}]}, "the inputs have no rows"),
        ({"inputs": [{"name": "record", "datatype": "BYTES", "shape": [1], "data": ["{"]}]}, "row 0 (counted from 0)"),
        ({"inputs": [{"name": "record", "datatype": "INT64", "shape": [1], "data": [1]}]}, "has records as JSON"),
        (
            {"inputs": [{"name": "a", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}}]},
            "binary_data_size is not what follows",
        ),
        (
            {"id": 7, "inputs": [{"name": "a", "datatype": "FP64", "shape": [1], "data": [1]}]},
            "id of a request",
        ),
    ],
)
def test_what_is_no_request_is_refused_with_why(door: Any, body: Any, said: str) -> None:
    answer = infer(door, body)
    assert answer.status_code == 400 and said in answer.json["error"]


@pytest.mark.parametrize("data", [[1], [1] * 20_000 + [orjson.loads("[" * 200 + "]" * 200)]])
def test_a_shape_of_many_dimensions_is_refused_before_its_values_are_read(data: list[Any]) -> None:
    one = {"name": "a", "datatype": "FP64", "shape": [2**31 - 1] * 500, "data": data}
    with pytest.raises(Problem) as refused:
        tensors.from_json(one, b"", 0)
    assert refused.value.detail.startswith("the input 'a' must have the shape [n] or [n, 1]")


@pytest.mark.parametrize("length", ["\xb2", "9" * 5000, "-1", "1e3", "10000"])
def test_what_is_no_length_of_the_json_is_refused(door: Any, length: str) -> None:
    answer = door.client.post(PATH, data=b"{}", headers={"Inference-Header-Content-Length": length})
    assert (answer.status_code, answer.json["error"].partition(" ")[0]) == (400, "Inference-Header-Content-Length")


def test_more_records_than_allowed_are_refused(door: Any) -> None:
    one = {"name": "customer_age", "datatype": "INT64", "shape": [101], "data": [40] * 101}
    answer = infer(door, {"inputs": [one]})
    assert answer.status_code == 413 and "more than 100 records" in answer.json["error"]


def test_without_a_model_nothing_is_ready(empty_door: Any) -> None:
    assert empty_door.client.get("/v2/health/live").status_code == 200
    assert empty_door.client.get("/v2/health/ready").json == {"ready": False}
    for path in ("/v2/models/churn", "/v2/models/churn/ready"):
        answer = empty_door.client.get(path)
        assert answer.status_code == 503 and "no model is loaded yet" in answer.json["error"]


def test_null_for_what_may_be_left_out_is_as_if_it_were(door: Any, toy_records: Records) -> None:
    answer = infer(door, {"id": None, "outputs": None, "inputs": inputs(door, toy_records[:1])})
    assert "id" not in answer.json and len(outputs(answer)) == 2


@pytest.mark.parametrize("datatype", [{}, [], None, 7])
def test_a_datatype_that_is_no_text_is_refused(door: Any, datatype: Any) -> None:
    answer = infer(door, {"inputs": [{"name": "a", "datatype": datatype, "shape": [1], "data": [1]}]})
    assert answer.status_code == 400 and "must have a datatype" in answer.json["error"]
