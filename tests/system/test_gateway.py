"""The gateway: no request passes without a key, and a client that misbehaves slows no other client."""

from __future__ import annotations

import base64
import logging
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import requests

from tests.processes import HOST, ROOT, Scorer, free_port
from tests.servers import Server

log = logging.getLogger(__name__)
KEY, OTHER_KEY = "a-key-that-a-test-made-up", "B" * 24
LARGEST = 65_536
STALLED = 50


@contextmanager
def gateway(folder: Path, upstream: str, **environ: str) -> Iterator[Server]:
    """Run a gateway in front of `upstream` (host:port)."""
    if shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        raise AssertionError("these tests need Nginx: run `make packages`")
    port = free_port()
    settings = {
        "GATEWAY_API_KEYS": f"{KEY},{OTHER_KEY}", "GATEWAY_PORT": str(port), "GATEWAY_UPSTREAM": upstream,
        "GATEWAY_FOLDER": str(folder / "gateway"), "MAX_BODY_BYTES": str(LARGEST), **environ,
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    command = ["sh", str(ROOT / "server" / "gateway" / "start.sh")]
    with Server(command, f"http://{HOST}:{port}", folder / "gateway.log", settings).running() as server:
        yield server


@pytest.fixture(scope="module")
def before_the_scorer(toy_scorer: Scorer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with gateway(
        tmp_path_factory.mktemp("gateway"), toy_scorer.url.removeprefix("http://"), GATEWAY_RATE="5000"
    ) as server:
        yield server


def post(gateway: Server, path: str, body: Any, **headers: str) -> requests.Response:
    return requests.post(f"{gateway.address}{path}", json=body, headers=headers, timeout=30)


def problem_of(answer: requests.Response, status: int) -> dict[str, Any]:
    """Check that an answer is a problem with that status; return the problem."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    return problem


@pytest.mark.parametrize("path", ["/predict", "/outcomes", "/invocations", "/", "/docs", "/openapi.json", "/readyz"])
def test_without_a_key_no_path_is_answered(before_the_scorer: Server, path: str) -> None:
    wrong = ({}, {"X-API-Key": ""}, {"X-API-Key": KEY[:-1]}, {"X-API-Key": OTHER_KEY.lower()}, {"X-API-Key": KEY + "x"})
    for headers in (*wrong, {"Authorization": "Bearer nobody"}, {"Authorization": f"Bearer {KEY} {KEY}"}):
        problem_of(requests.request("GET" if path in "/docs/openapi.json/readyz" else "POST",
                              f"{before_the_scorer.address}{path}", headers=headers, timeout=10), 401)  # fmt: skip


def test_with_a_key_in_any_of_its_forms_the_scorer_answers(
    before_the_scorer: Server, toy_records: list[dict[str, Any]]
) -> None:
    basic = base64.b64encode(f"scorehouse:{KEY}".encode()).decode()
    for headers in (
        {"X-API-Key": KEY}, {"X-API-Key": OTHER_KEY}, {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"Basic {basic}"},
    ):  # fmt: skip
        answer = post(before_the_scorer, "/predict", toy_records[0], **headers)
        assert answer.status_code == 200 and "churn chance" in answer.json(), answer.text
    outcome = {"prediction_id": answer.json()["prediction_id"], "outcome": 1}
    assert post(before_the_scorer, "/outcomes", outcome, **{"X-API-Key": KEY}).status_code == 202


def test_a_faulty_record_is_refused_by_the_scorer_as_without_the_gateway(before_the_scorer: Server) -> None:
    assert "errors" in problem_of(post(before_the_scorer, "/predict", {"gender": "X"}, **{"X-API-Key": KEY}), 422)


def test_metrics_are_hidden_and_liveness_is_public(before_the_scorer: Server) -> None:
    problem_of(requests.get(f"{before_the_scorer.address}/metrics", headers={"X-API-Key": KEY}, timeout=10), 404)
    assert requests.get(f"{before_the_scorer.address}/healthz", timeout=10).json() == {"status": "alive"}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_with_the_limit(before_the_scorer: Server, chunked: bool) -> None:
    body = b" " * (LARGEST + 1)
    data = iter([body[:1000], body[1000:]]) if chunked else body
    answer = requests.post(f"{before_the_scorer.address}/predict", data=data, headers={"X-API-Key": KEY}, timeout=10)
    assert str(LARGEST) in problem_of(answer, 413)["detail"]


def timed(gateway: Server, record: dict[str, Any], count: int) -> np.ndarray:
    """Return the milliseconds of `count` requests, one after another, each of which must be answered."""
    took = np.empty(count)
    with requests.Session() as session:
        session.headers["X-API-Key"] = KEY
        for i in range(count):
            began = time.perf_counter()
            answer = session.post(f"{gateway.address}/predict", json=record, timeout=10)
            took[i] = (time.perf_counter() - began) * 1000
            assert answer.status_code == 200, answer.text
    return took


@contextmanager
def stalled(gateway: Server, count: int) -> Iterator[None]:
    """Keep `count` clients connected that have a key, sent half a request and stopped."""
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Length: 1000\r\n\r\n{{"
    with ExitStack() as open_:
        for _ in range(count):
            client = open_.enter_context(socket.create_connection((HOST, gateway.port), timeout=10))
            client.sendall(head.encode())
        yield


def test_stalled_clients_and_bodies_over_the_limit_do_not_slow_other_clients(
    before_the_scorer: Server, toy_records: list[dict[str, Any]]
) -> None:
    record, large = toy_records[0], b"x" * (4 * LARGEST)
    timed(before_the_scorer, record, 100)
    alone = timed(before_the_scorer, record, 500)
    with stalled(before_the_scorer, STALLED):
        beside = timed(before_the_scorer, record, 500)

        def flood(_: int) -> int:
            headers = {"X-API-Key": KEY, "Connection": "close"}
            try:
                return requests.post(
                    f"{before_the_scorer.address}/predict", data=large, headers=headers, timeout=10
                ).status_code
            except requests.ConnectionError:  # refused before it was sent whole
                return 413

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(flood, range(200))) == {413}
        after = timed(before_the_scorer, record, 500)
    log.info(
        "p50 and p99 ms: alone %.2f %.2f, beside %d stalled clients %.2f %.2f, after 200 bodies too large %.2f %.2f",
        *np.percentile(alone, (50, 99)), STALLED, *np.percentile(beside, (50, 99)), *np.percentile(after, (50, 99)),
    )  # fmt: skip
    for took in (beside, after):
        assert np.median(took) < 1.5 * np.median(alone) + 1
        assert np.percentile(took, 99) < 2 * np.percentile(alone, 99) + 20


def test_a_client_that_sends_too_fast_is_told_when_to_try_again(toy_scorer: Scorer, tmp_path: Path) -> None:
    with gateway(tmp_path, toy_scorer.url.removeprefix("http://"), GATEWAY_RATE="5") as server:
        answers = [post(server, "/predict", {}, **{"X-API-Key": KEY}) for _ in range(20)]
        slowed = [a for a in answers if a.status_code == 429]
        assert slowed and {a.headers["Retry-After"] for a in slowed} == {"1"}
        problem_of(slowed[0], 429)
        problem_of(post(server, "/predict", {}, **{"X-API-Key": OTHER_KEY}), 422)


class Slow(BaseHTTPRequestHandler):
    """A scorer that takes a second to answer."""

    def do_POST(self) -> None:
        time.sleep(1)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_full_scorer_and_one_that_is_down_are_reported_as_503(tmp_path: Path) -> None:
    with ThreadingHTTPServer((HOST, 0), Slow) as scorer:
        Thread(target=scorer.serve_forever, daemon=True).start()
        with gateway(tmp_path / "full", f"{HOST}:{scorer.server_port}", GATEWAY_MOST="2") as server:
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda _: post(server, "/predict", {}, **{"X-API-Key": KEY}), range(8)))
            full = [a for a in answers if a.status_code != 200]
            assert len(full) == 6
            assert {a.headers["Retry-After"] for a in full} == {"2"}
            problem_of(full[0], 503)
        scorer.shutdown()
    with gateway(tmp_path / "away", f"{HOST}:{free_port()}") as server:
        assert problem_of(post(server, "/predict", {}, **{"X-API-Key": KEY}), 503)


def test_it_serves_tls_when_it_has_a_certificate(toy_scorer: Scorer, tmp_path: Path) -> None:
    openssl = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-keyout", tmp_path / "privkey.pem", "-out", tmp_path / "fullchain.pem"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert openssl.returncode == 0, openssl.stderr
    upstream = toy_scorer.url.removeprefix("http://")
    with gateway(tmp_path / "gateway", upstream, GATEWAY_TLS=str(tmp_path)) as server:
        context = ssl.create_default_context(cafile=str(tmp_path / "fullchain.pem"))
        context.check_hostname = False
        with socket.create_connection((HOST, server.port), 10) as plain, context.wrap_socket(plain) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"GATEWAY_API_KEYS": ""}, "is empty"),
        ({"GATEWAY_API_KEYS": "short"}, "shorter than 24"),
        ({"GATEWAY_API_KEYS": '";' * 20}, "may contain"),
        ({"GATEWAY_API_KEYS": KEY, "GATEWAY_TLS": "/nowhere"}, "cannot read fullchain.pem in GATEWAY_TLS"),
    ],
)
def test_without_a_valid_key_or_a_readable_certificate_it_does_not_start(
    settings: dict[str, str], reason: str, tmp_path: Path
) -> None:
    environ = {**os.environ, "GATEWAY_FOLDER": str(tmp_path), "GATEWAY_PORT": str(free_port()), **settings}
    command = ["sh", str(ROOT / "server" / "gateway" / "start.sh")]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("gateway: ") and reason in ended.stderr
