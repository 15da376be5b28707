"""Bodies as the world's clients send them, against a real door: MLflow, boto3, curl, requests and pandas."""

from __future__ import annotations

import base64
import csv
import gzip
import http.client
import io
import json
import math
import shutil
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import numpy as np
import pandas as pd
import pytest
import requests
from backports import zstd
from botocore.config import Config
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from tests.toy import Scorer

ROWS = 12
WAIT = 20  # seconds
LIMIT = 2**20  # MAX_BODY_BYTES
Record = dict[str, Any]


@pytest.fixture(scope="module")
def records(toy_records: list[Record]) -> list[Record]:
    """A few records, every third with a gap in a number and every fifth with one in a category."""
    some = [dict(record) for record in toy_records[:ROWS]]
    for record in some[::3]:
        record["credit_limit"] = None
    for record in some[::5]:
        record["marital_status"] = None
    return some


@pytest.fixture(scope="module")
def expected(toy_scorer: Scorer, records: list[Record]) -> list[float]:
    return [float(ask(toy_scorer, "/predict", json=r).json()["churn chance"]) for r in records]


@pytest.fixture(scope="module")
def frame(records: list[Record]) -> pd.DataFrame:
    """The records as pandas holds them: gaps are NaN, and numbers beside them are floats."""
    made = pd.DataFrame(records)
    assert made["credit_limit"].isna().any()
    return made


def ask(scorer: Scorer, path: str, **sent: Any) -> requests.Response:
    return requests.post(scorer.url + path, timeout=WAIT, **sent)


def predictions(answer: requests.Response) -> list[float]:
    assert answer.status_code == 200, answer.text
    found: list[float] = answer.json()["predictions"]
    return found


def test_mlflows_own_client_sends_gaps(
    toy_scorer: Scorer, frame: pd.DataFrame, records: list[Record], expected: list[float]
) -> None:
    where = urlsplit(toy_scorer.url)
    client = ScoringServerClient(where.hostname, where.port)
    for data in (frame, frame.astype(object), frame.to_dict(orient="records"), records):
        assert list(client.invoke(data).get_predictions()[0]) == pytest.approx(expected)


@pytest.fixture(scope="module")
def sagemaker(toy_scorer: Scorer) -> Any:
    """boto3's client of an endpoint, pointed at the door's path by a rewrite of the path that AWS routes by."""
    client = boto3.client(
        "sagemaker-runtime",
        endpoint_url=toy_scorer.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}),
    )
    client.meta.events.register("before-send.sagemaker-runtime.InvokeEndpoint", to_invocations)
    return client


def to_invocations(request: Any, **_: Any) -> None:
    """SageMaker itself strips /endpoints/NAME before a container sees the request."""
    request.url = request.url.replace("/endpoints/churn/invocations", "/invocations")


def test_boto3s_client_sends_json_lines_and_csv(
    sagemaker: Any, frame: pd.DataFrame, records: list[Record], expected: list[float]
) -> None:
    def invoke(body: str | bytes, media: str, accept: str) -> str:
        answer = sagemaker.invoke_endpoint(EndpointName="churn", Body=body, ContentType=media, Accept=accept)
        assert answer["ContentType"].partition(";")[0] == accept.partition(";")[0]
        text: str = answer["Body"].read().decode()
        return text

    lines = frame.to_json(orient="records", lines=True)
    said = invoke(lines, "application/jsonlines", "application/jsonlines")
    assert [json.loads(line)["prediction"] for line in said.splitlines()] == pytest.approx(expected)
    for media, header in (("text/csv", True), ("text/csv; header=absent", False)):
        said = invoke(frame.to_csv(index=False, header=header), media, "text/csv")
        assert [float(line) for line in said.splitlines()] == pytest.approx(expected)
    said = invoke(
        json.dumps({"instances": [{"features": [*r.values()]} for r in records]}),
        "application/json",
        "application/json",
    )
    assert json.loads(said)["predictions"] == pytest.approx(expected)
    without_type = sagemaker.invoke_endpoint(EndpointName="churn", Body=json.dumps(records))
    assert json.loads(without_type["Body"].read())["predictions"] == pytest.approx(expected)


def curl(*arguments: str, sent: bytes = b"") -> bytes:
    return subprocess.run(["curl", "-sS", *arguments], input=sent, capture_output=True, timeout=WAIT, check=True).stdout


def test_curl_sends_and_accepts_compressed_bodies(
    toy_scorer: Scorer, frame: pd.DataFrame, records: list[Record], expected: list[float], tmp_path: Path
) -> None:
    url = f"{toy_scorer.url}/invocations"
    bodies = {"json": json.dumps(records).encode(), "csv": frame.to_csv(index=False).encode()}
    medias = {"json": "application/json", "csv": "text/csv"}
    codings = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}
    for kind, body in bodies.items():
        for coding, compress in codings.items():
            (tmp_path / "x").write_bytes(compress(body))
            said = curl("--compressed", url, "--data-binary", f"@{tmp_path / 'x'}", "-H", f"Content-Encoding: {coding}",
                        "-H", f"Content-Type: {medias[kind]}")  # fmt: skip
            assert json.loads(said)["predictions"] == pytest.approx(expected)
    if shutil.which("gzip"):
        zipped = subprocess.run(["gzip", "-c"], input=bodies["json"], capture_output=True, check=True).stdout
        said = curl(url, "--data-binary", "@-", "-H", "Content-Encoding: gzip", "-H", "Content-Type: application/json",
                    "-H", "Transfer-Encoding: chunked", sent=zipped)  # fmt: skip
        assert json.loads(said)["predictions"] == pytest.approx(expected)


def test_one_compressed_record_is_predicted(toy_scorer: Scorer, records: list[Record], expected: list[float]) -> None:
    body = gzip.compress(json.dumps(records[0]).encode())
    for headers in ({"Content-Encoding": "gzip"}, {}):
        answer = ask(toy_scorer, "/predict", data=body, headers={"Content-Type": "application/json", **headers})
        assert answer.json()["churn chance"] == expected[0]


def test_another_coding_is_a_415_that_names_those_that_are_read(toy_scorer: Scorer, records: list[Record]) -> None:
    for path in ("/predict", "/explain", "/invocations", "/outcomes"):
        headers = {"Content-Encoding": "br"}
        answer = ask(toy_scorer, path, json=records[0], headers=headers)
        assert (answer.status_code, answer.headers["Accept-Encoding"]) == (415, "gzip, deflate, zstd")


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda text: b"\xef\xbb\xbf" + text.encode(), id="a byte order mark"),
        pytest.param(lambda text: text.encode("utf-16"), id="UTF-16, as PowerShell writes files"),
        pytest.param(lambda text: json.dumps(text).encode(), id="encoded twice"),
        pytest.param(lambda text: base64.b64encode(text.encode()), id="base64"),
        pytest.param(
            lambda text: text.replace("{", '{"prediction_id": null, "test": null, ', 1).encode(), id="null ids"
        ),
    ],
)
def test_a_wrapped_record_is_predicted(
    toy_scorer: Scorer, records: list[Record], expected: list[float], wrap: Callable[[str], bytes]
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = ask(toy_scorer, "/predict", data=wrap(json.dumps(records[0])), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["churn chance"] == expected[0]


def test_nan_is_a_gap_and_infinity_is_named_in_its_record(
    toy_scorer: Scorer, records: list[Record], expected: list[float]
) -> None:
    gap, infinite = {**records[0], "credit_limit": math.nan}, {**records[1], "credit_limit": math.inf}
    body = json.dumps([gap, infinite])
    assert "NaN" in body
    answer = ask(toy_scorer, "/predict", data=body, headers={"Content-Type": "application/json"}).json()
    assert answer[0]["churn chance"] == expected[0]
    [error] = answer[1]["errors"]
    assert (error["field"], error["value"], error["problem"]) == ("credit_limit", "Infinity", "is not allowed")


@pytest.mark.parametrize("orient", ["split", "records", "columns", "index", "values"])
def test_every_orient_of_pandas_is_read(
    toy_scorer: Scorer, frame: pd.DataFrame, expected: list[float], orient: Any
) -> None:
    text = frame.to_json(orient=orient)
    headers = {"Content-Type": f"application/json; format=pandas-{orient}"}
    assert predictions(ask(toy_scorer, "/invocations", data=text, headers=headers)) == pytest.approx(expected)
    assert predictions(ask(toy_scorer, "/invocations", json=text)) == pytest.approx(expected)


def test_a_split_as_text_and_one_with_nan_are_read(
    toy_scorer: Scorer, frame: pd.DataFrame, expected: list[float]
) -> None:
    as_text = {"dataframe_split": frame.to_json(orient="split")}
    assert predictions(ask(toy_scorer, "/invocations", json=as_text)) == pytest.approx(expected)
    with_nan = json.dumps({"dataframe_split": frame.to_dict(orient="split")})
    assert "NaN" in with_nan
    headers = {"Content-Type": "application/json"}
    assert predictions(ask(toy_scorer, "/invocations", data=with_nan, headers=headers)) == pytest.approx(expected)


@pytest.mark.parametrize("media", ["application/jsonlines", "application/x-ndjson"])
def test_json_lines_are_answered_a_line_each(
    toy_scorer: Scorer, records: list[Record], expected: list[float], media: str
) -> None:
    lines = "\n".join(map(json.dumps, records))
    answer = ask(toy_scorer, "/predict", data=lines, headers={"Content-Type": media})
    assert answer.headers["Content-Type"] == media
    answers = [json.loads(line) for line in answer.text.splitlines()]
    assert [a["churn chance"] for a in answers] == expected
    answer = ask(toy_scorer, "/invocations", data=lines, headers={"Content-Type": media})
    assert [json.loads(line)["prediction"] for line in answer.text.splitlines()] == pytest.approx(expected)
    headers = {"Content-Type": media, "Accept": "application/json"}
    assert predictions(ask(toy_scorer, "/invocations", data=lines, headers=headers)) == pytest.approx(expected)
    ids = [json.dumps({"prediction_id": a["prediction_id"], "outcome": 0}) for a in answers]
    accepted = ask(toy_scorer, "/outcomes", data="\n".join(ids), headers={"Content-Type": media})
    assert (accepted.status_code, accepted.json()) == (202, {"accepted": ROWS})


def test_a_bad_line_costs_the_others_nothing_but_rejects_a_table(
    toy_scorer: Scorer, records: list[Record], expected: list[float]
) -> None:
    lines = [
        json.dumps(records[0]),
        '{"customer_age": ',
        json.dumps({**records[1], "gender": "X"}),
        json.dumps(records[1]),
    ]
    headers = {"Content-Type": "application/jsonlines"}
    answer = ask(toy_scorer, "/predict", data="\n".join(lines), headers=headers)
    first, torn, bad, last = (json.loads(line) for line in answer.text.splitlines())
    assert (first["churn chance"], last["churn chance"]) == pytest.approx((expected[0], expected[1]))
    assert torn["errors"][0]["problem"].startswith("is not JSON: unexpected end of data")
    assert bad["errors"][0]["field"] == "gender"
    answer = ask(toy_scorer, "/invocations", data="\n".join(lines), headers=headers)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("row 1 (counted from 0) is not JSON: ")


def test_csv_is_answered_where_it_is_accepted_and_406_says_what_can_be(
    toy_scorer: Scorer, records: list[Record], frame: pd.DataFrame, expected: list[float]
) -> None:
    for accept in ("text/csv", "text/csv; charset=utf-8", "text/csv, application/json;q=0.5", "text/*"):
        answer = ask(toy_scorer, "/invocations", json=records, headers={"Accept": accept})
        assert answer.headers["Content-Type"] == "text/csv; header=absent", accept
        assert [float(cell) for (cell,) in csv.reader(io.StringIO(answer.text))] == pytest.approx(expected)
    for accept in ("*/*", "application/json", "application/json; charset=utf-8", "text/csv;q=0.1, */*", ""):
        headers = {"Accept": accept}
        table = ask(
            toy_scorer, "/invocations", data=frame.to_csv(index=False), headers={**headers, "Content-Type": "text/csv"}
        )
        assert predictions(table) == pytest.approx(expected)
    for path in ("/predict", "/explain", "/outcomes"):
        answer = ask(toy_scorer, path, json=records[0], headers={"Accept": "text/csv"})
        assert (answer.status_code, answer.headers["Content-Type"]) == (406, "application/problem+json")
        assert answer.json()["detail"].startswith("this route answers in application/json")


@pytest.mark.parametrize("charset", ["utf-16", "iso-8859-1", "windows-1252", "utf-8"])
def test_a_body_in_another_charset_is_read(
    toy_scorer: Scorer, frame: pd.DataFrame, records: list[Record], expected: list[float], charset: str
) -> None:
    named = [{**record, "customer_id": "7"} for record in records]
    sent = {
        "application/json": json.dumps(named, ensure_ascii=False),
        "text/csv": frame.to_csv(index=False),
        "application/jsonlines": "\n".join(map(json.dumps, named)),
    }
    for media, text in sent.items():
        headers = {"Content-Type": f"{media}; charset={charset}", "Accept": "application/json"}
        answer = ask(toy_scorer, "/invocations", data=text.encode(charset), headers=headers)
        assert predictions(answer) == pytest.approx(expected)


def test_a_body_without_a_content_type_is_json(
    toy_scorer: Scorer, records: list[Record], expected: list[float]
) -> None:
    where = urlsplit(toy_scorer.url)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=WAIT)
    connection.request("POST", "/predict", json.dumps(records[0]))
    assert json.loads(connection.getresponse().read())["churn chance"] == expected[0]
    connection.close()


def bombs() -> Iterator[tuple[str, bytes]]:
    """Bodies within the limit that hold 256 MB, or a quarter of a million things that hold nothing."""
    zeros = b"\0" * 2**28
    yield "gzip", gzip.compress(zeros)
    yield "deflate", zlib.compress(zeros)
    yield "zstd", zstd.compress(zeros)
    yield "gzip", gzip.compress(b"") * (LIMIT // 21)
    yield "zstd", zstd.compress(b"") * (LIMIT // 10)
    yield "gzip", gzip.compress(b"[" * (LIMIT - 1))
    yield "gzip", gzip.compress(b"NaN," * (LIMIT // 4))


def test_bombs_cost_the_others_neither_time_nor_memory(toy_scorer: Scorer, records: list[Record]) -> None:
    sent = [(path, coding, body) for coding, body in bombs() for path in ("/predict", "/invocations")]
    assert all(len(body) <= LIMIT for _, _, body in sent)
    quiet = slowest(toy_scorer, records[0], 100)
    before = own_memory(toy_scorer)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(bomb, toy_scorer, *one) for one in sent * 3]
        while_bombed = slowest(toy_scorer, records[0], 100)
        answers = [one.result() for one in asked]
    assert {status for status, _ in answers} <= {400, 413}
    assert max(seconds for _, seconds in answers) < 10
    assert while_bombed < quiet + 1
    assert own_memory(toy_scorer) - before < 64 * 2**20
    assert ask(toy_scorer, "/predict", json=records[0]).ok


def own_memory(scorer: Scorer) -> int:
    """Return the bytes that are the scorer's own."""
    assert scorer.process is not None
    lines = Path(f"/proc/{scorer.process.pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024


def bomb(scorer: Scorer, path: str, coding: str, body: bytes) -> tuple[int, float]:
    began = time.monotonic()
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    status = ask(scorer, path, data=body, headers=headers).status_code
    return status, time.monotonic() - began


def slowest(scorer: Scorer, record: Record, count: int) -> float:
    """Return the 95th percentile of the seconds that a record takes."""
    took = []
    with requests.Session() as session:
        for _ in range(count):
            began = time.monotonic()
            assert session.post(f"{scorer.url}/predict", json=record, timeout=WAIT).ok
            took.append(time.monotonic() - began)
    return float(np.percentile(took, 95))
