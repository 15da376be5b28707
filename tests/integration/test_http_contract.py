"""The HTTP door's contract against a real server: what schemathesis finds, and what only raw sockets can send."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
import requests

from tests import toy as toys
from tests.toy import Scorer, Toy

EXAMPLES = int(os.environ.get("HTTP_CONTRACT_EXAMPLES", "300"))  # generated in all, at least
SEED = os.environ.get("HTTP_CONTRACT_SEED", "1")
ROUTES = ["/predict", "/explain", "/invocations", "/outcomes"]  # those that take a body
PROBLEM = "application/problem+json"
LIMIT, MOST = 2**20, 1000  # MAX_BODY_BYTES and MAX_RECORDS, as they are by default
WAIT = 10  # seconds that an answer may take
JSON = {"Content-Type": "application/json"}
Record = dict[str, Any]

# A body that is refused for its length is refused rightly.
# How schemathesis writes JSON lines, which it does not know.
LINE_BODIES = """
import json, schemathesis

@schemathesis.serializer("application/jsonlines", "application/x-ndjson")
def lines(ctx, value):
    return "\\n".join(json.dumps(v) for v in (value if isinstance(value, list) else [value])).encode()
"""
# That a tensor's data fit its shape, and that the inputs are the model's, is nothing that JSON Schema can say.
CONFIG = """
[checks.negative_data_rejection]
expected-statuses = [400, 404, 413, 415, 422]

[[operations]]
include-path-regex = "/v2/models/.*/infer"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404, 409]
"""


def schemathesis(url: str, folder: Path, *options: str) -> int:
    """Run schemathesis against `url`; return how many cases it generated. Every check holds, or this fails."""
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG)
    # Boundary values come to some 800 requests whatever is asked for; the rest is drawn, for each route with a body.
    examples = str(max(10, (EXAMPLES - 600) // len(ROUTES)))
    command = [
        "--config-file",
        str(config),
        "run",
        f"{url}/openapi.json",
        "--checks",
        "all",
        "--max-examples",
        examples,
    ]
    always = [
        "--seed",
        SEED,
        "--generation-database",
        "none",
        "--continue-on-failure",
        "--no-color",
        "--request-timeout",
        "30",
    ]
    (folder / "line_bodies.py").write_text(LINE_BODIES)
    done = subprocess.run(
        [str(Path(sys.executable).with_name("schemathesis")), *command, *always, *options],
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "line_bodies"},
        capture_output=True,
        text=True,
        timeout=60 + EXAMPLES,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    counted = re.search(r"([\d,]+) generated", done.stdout)
    assert counted, done.stdout[-2_000:]
    return int(counted[1].replace(",", ""))


def test_no_generated_request_gets_an_answer_that_is_not_documented(toy_scorer: Scorer, tmp_path: Path) -> None:
    others = schemathesis(toy_scorer.url, tmp_path, "--exclude-path", "/invocations")
    # The formats of /invocations exclude each other and rows must fit their columns: no schema says so.
    protocol = schemathesis(
        toy_scorer.url, tmp_path, "--include-path", "/invocations", "--exclude-checks", "positive_data_acceptance"
    )
    sys.stdout.write(f"{others + protocol:,} requests generated\n")
    assert others + protocol >= EXAMPLES
    assert "Traceback" not in toy_scorer.said()


@pytest.fixture
def record(toy_records: list[Record]) -> Record:
    return toy_records[0]


def post(
    scorer: Scorer, path: str, body: bytes | Iterator[bytes], headers: dict[str, str] | None = None
) -> requests.Response:
    return requests.post(scorer.url + path, data=body, headers=JSON | (headers or {}), timeout=WAIT)


def refused(answer: requests.Response, status: int) -> str:
    """Return the detail of a problem with `status`."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, PROBLEM), answer.text[:500]
    problem = answer.json()
    assert problem["status"] == status
    return str(problem["detail"])


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" \r\n\t", id="blank"),
        pytest.param(b'{"customer_age": 1e400}', id="1e400"),
        pytest.param(b'{"customer_age": ' + b"9" * 5000 + b"}", id="5000 digits"),
        pytest.param(b"[" * 10_000 + b"]" * 10_000, id="10000 lists deep"),
        pytest.param(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, id="10000 objects deep"),
        pytest.param(b'{"a":' * 1000 + b"1" + b"}" * 1000, id="1000 objects deep"),
        pytest.param(b'{"customer_age": 50, "customer_age": 51}', id="a field twice"),
        pytest.param(b'{"customer_age": 50', id="half"),
        pytest.param(b"\xff\xff{}", id="no UTF-8"),
        pytest.param(b"\x00" * 100, id="zeros"),
    ],
)
def test_what_is_no_json_is_a_400(toy_scorer: Scorer, path: str, body: bytes) -> None:
    assert refused(post(toy_scorer, path, body), 400)


@pytest.mark.parametrize("path", ROUTES)
def test_ten_megabytes_are_refused_and_the_client_reads_why(toy_scorer: Scorer, path: str) -> None:
    body = b'"' + b"x" * 10_000_000 + b'"'
    assert refused(post(toy_scorer, path, body), 413) == f"the body must not exceed {LIMIT:,} bytes"


@pytest.mark.parametrize("path", ROUTES)
def test_a_chunked_body_over_the_limit_is_refused_though_it_declares_no_length(toy_scorer: Scorer, path: str) -> None:
    assert refused(post(toy_scorer, path, iter([b"x" * 65_536] * 32)), 413)


def test_a_chunked_body_within_the_limit_is_answered(toy_scorer: Scorer, record: Record) -> None:
    body = orjson.dumps(record)
    answer = post(toy_scorer, "/predict", iter([body[:20], body[20:]]))
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(len(answer.content)))


@pytest.mark.parametrize("path", ["/predict", "/explain", "/outcomes"])
def test_only_invocations_takes_csv(toy_scorer: Scorer, path: str) -> None:
    assert refused(post(toy_scorer, path, b"customer_age\n50\n", {"Content-Type": "text/csv"}), 415)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("media", ["text/plain", "text/html", "application/x-www-form-urlencoded"])
def test_another_media_type_is_a_415(toy_scorer: Scorer, path: str, media: str, record: Record) -> None:
    answer = post(toy_scorer, path, orjson.dumps(record), {"Content-Type": media})
    assert refused(answer, 415).startswith("send the body as Content-Type: application/json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("customer_age", "50"), ("customer_age", True), ("customer_age", [50]), ("customer_age", {"is": 50}),
        ("customer_age", 50.5), ("customer_age", 17), ("customer_age", 10**18), ("gender", 1), ("gender", "male"),
        ("gender", False), ("credit_limit", "4000"), ("credit_limit", -0.5), ("education_level", 6),
        ("prediction_id", 7), ("prediction_id", ""), ("customer_id", {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/predict", "/explain"])
def test_a_wrong_value_is_named_with_what_is_allowed(
    toy_scorer: Scorer, path: str, record: Record, field: str, value: Any
) -> None:
    answer = post(toy_scorer, path, orjson.dumps({**record, field: value}))
    assert field in refused(answer, 422)
    [error] = answer.json()["errors"]
    assert (error["field"], error["problem"]) == (field, "is not allowed")
    assert error["allowed"]


def test_every_bad_field_is_named_and_an_unknown_one_with_the_nearest(toy_scorer: Scorer, record: Record) -> None:
    bad = {**record, "credit_limt": 1, "customer_age": "x"}
    del bad["gender"]
    answer = post(toy_scorer, "/predict", orjson.dumps(bad))
    refused(answer, 422)
    errors = {e["field"]: e for e in answer.json()["errors"]}
    assert {name: e["problem"] for name, e in errors.items()} == {
        "credit_limt": "is not a known field", "customer_age": "is not allowed", "gender": "is missing",
    }  # fmt: skip
    assert errors["credit_limt"]["nearest"] == "credit_limit"


def test_one_bad_record_in_a_hundred_costs_the_others_nothing(toy_scorer: Scorer, toy_records: list[Record]) -> None:
    records: list[Any] = [{**r, "prediction_id": f"hundred-{i}"} for i, r in enumerate(toy_records[:100])]
    records[57] = {**records[57], "gender": "X"}
    answer = post(toy_scorer, "/predict", orjson.dumps(records))
    assert answer.status_code == 200
    answers = answer.json()
    assert [e["field"] for e in answers.pop(57)["errors"]] == ["gender"]
    assert [a["prediction_id"] for a in answers] == [f"hundred-{i}" for i in range(100) if i != 57]


def test_nothing_but_bad_records_is_a_422(toy_scorer: Scorer) -> None:
    assert refused(post(toy_scorer, "/predict", b"[{}, 7, null, []]"), 422) == "none of the records can be scored"


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/outcomes"])
def test_a_list_that_is_too_long_is_a_413(toy_scorer: Scorer, path: str) -> None:
    rows = [{}] * (MOST + 1)
    body = orjson.dumps({"instances": rows} if path == "/invocations" else rows)
    assert f"{MOST:,}" in refused(post(toy_scorer, path, body), 413)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_a_405_that_says_which_is_wanted(toy_scorer: Scorer, path: str, method: str) -> None:
    answer = requests.request(method, toy_scorer.url + path, timeout=WAIT)
    refused(answer, 405)
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize("path", ["/nowhere", "/predict/", "/static/", "/static/..%2fapp.py", "/%00", "/%ff"])
def test_an_unknown_route_is_a_404(toy_scorer: Scorer, path: str) -> None:
    assert refused(requests.get(toy_scorer.url + path, timeout=WAIT), 404)


def connect(scorer: Scorer) -> socket.socket:
    address = urlsplit(scorer.url)
    assert address.hostname
    assert address.port
    return socket.create_connection((address.hostname, address.port), timeout=WAIT)


@pytest.mark.parametrize("path", ROUTES)
def test_half_a_body_and_a_closed_connection_harm_nobody(toy_scorer: Scorer, path: str, record: Record) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n".encode()
    for _ in range(20):
        with connect(toy_scorer) as connection:
            connection.sendall(head + b'{"customer_age":')
    assert post(toy_scorer, "/predict", orjson.dumps(record)).status_code == 200


def test_half_a_body_and_a_half_closed_connection_is_a_400(toy_scorer: Scorer) -> None:
    with connect(toy_scorer) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")


def said_until_closed(connection: socket.socket) -> bytes:
    """Return all that the scorer says on a connection that it closes."""
    said = b""
    while part := connection.recv(65_536):
        said += part
    return said


def test_trailers_without_end_are_refused(toy_scorer: Scorer) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: "
    with connect(toy_scorer) as connection:
        for part in (head, b"a" * 60_000, b"a" * 6_000):
            connection.sendall(part)
            time.sleep(0.2)
        assert said_until_closed(connection).startswith(b"HTTP/1.1 431 ")


def test_thousands_of_pages_asked_at_once_cost_the_others_nothing(toy_scorer: Scorer, record: Record) -> None:
    with connect(toy_scorer) as greedy:
        greedy.sendall(b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
        for _ in range(20):
            began = time.monotonic()
            assert requests.get(f"{toy_scorer.url}/healthz", timeout=WAIT).ok
            assert post(toy_scorer, "/predict", orjson.dumps(record)).ok
            assert time.monotonic() - began < 2
        assert 1 <= said_until_closed(greedy).count(b"HTTP/1.1 200 OK") <= 100


def test_refused_requests_write_less_than_they_send(toy_scorer: Scorer) -> None:
    folder = Path(toy_scorer.environ["DATA_FOLDER"]) / "journal"

    def written() -> int:
        return sum(path.stat().st_size for path in folder.iterdir())

    before, sent = written(), 0
    with requests.Session() as session:
        for count in range(200):
            body = orjson.dumps({f"z{i}": 1 for i in range(20 + count)})
            sent += len(body)
            assert session.post(f"{toy_scorer.url}/predict", data=body, headers=JSON, timeout=WAIT).status_code == 422
    time.sleep(1.2)  # what was put off is written
    assert 0 < written() - before < 0.1 * sent


def test_a_scorer_with_a_secret_answers_who_has_it_and_logs_who_asked(toy: Toy, tmp_path: Path, record: Record) -> None:
    scorer = toys.scorer(tmp_path, toys.cache_in(tmp_path, toy), SERVICE_SECRET="s" * 32)
    scorer.start()
    trusted = {"Authorization": f"Bearer {'s' * 32}", "X-Caller": "shop-7"}
    try:
        toys.until(lambda: alive_at(scorer.url), 60, "the scorer is alive")
        toys.until(lambda: requests.get(f"{scorer.url}/readyz", headers=trusted, timeout=WAIT).ok, 60, "it is ready")
        assert "SERVICE_SECRET" in refused(post(scorer, "/predict", orjson.dumps(record)), 401)
        assert requests.get(f"{scorer.url}/metrics", timeout=WAIT).status_code == 401
        id_ = post(scorer, "/predict", orjson.dumps(record), trusted).json()["prediction_id"]
        listed = post(scorer, "/predict", orjson.dumps([record]), trusted).json()
        outcome = orjson.dumps({"prediction_id": id_, "outcome": 1})
        assert post(scorer, "/outcomes", outcome, trusted).status_code == 202
    finally:
        scorer.stop()
    lines = [orjson.loads(line) for path in (tmp_path / "journal").iterdir() for line in path.read_bytes().splitlines()]
    about = [(line["kind"], line["use_case"], line.get("caller"), line.get("sender")) for line in lines]
    assert about == [("prediction", "churn", "shop-7", None)] * 2 + [("outcome", "churn", None, "shop-7")]
    assert [line["prediction_id"] for line in lines] == [id_, listed[0]["prediction_id"], id_]


def test_the_curl_of_the_docs_works_as_pasted(toy_scorer: Scorer) -> None:
    html = requests.get(f"{toy_scorer.url}/docs", timeout=WAIT).text
    found = re.search(r'<code id="curl">(.*?)</code>', html, re.DOTALL)
    assert found
    command = found[1].replace("&#39;", "'").replace("&#34;", '"').replace("&amp;", "&")
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=WAIT, check=True)
    assert 0 <= orjson.loads(done.stdout)["churn chance"] <= 1


def test_without_a_model_every_route_says_so(toy: Toy, tmp_path: Path) -> None:
    scorer = toys.scorer(tmp_path, "")
    scorer.start()
    try:
        alive = toys.until(lambda: alive_at(scorer.url), 60, "the scorer is alive")
        assert alive == {"status": "alive"}
        for path in ROUTES:
            answer = post(scorer, path, b"{}")
            assert "RUN_ID" in refused(answer, 503)
            assert answer.headers["Retry-After"] == "2"
        assert "RUN_ID" in refused(requests.get(f"{scorer.url}/openapi.json", timeout=WAIT), 503)
        for path in ("/", "/docs"):
            page = requests.get(scorer.url + path, timeout=WAIT)
            assert (page.status_code, page.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
            assert "make start-serve" in page.text
    finally:
        scorer.stop()


def alive_at(url: str) -> Any:
    try:
        return requests.get(f"{url}/healthz", timeout=WAIT).json()
    except requests.ConnectionError:
        return None
