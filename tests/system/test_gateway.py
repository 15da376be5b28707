"""The gateway: who may pass, what they may do, and that a client that misbehaves slows no other client."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
import requests
from playwright.sync_api import Browser, expect

from tests import models, processes
from tests.models import Model
from tests.processes import HOST, ROOT, Scorer, answers, free_port, run, until
from tests.servers import Server, mlflow
from tests.system.browser import watched_page

log = logging.getLogger(__name__)
LARGEST = 65_536
STALLED = 50
START = ["sh", str(ROOT / "server" / "gateway" / "start.sh")]
SECRET = "a-secret-that-a-test-made-up"
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@dataclass
class Keys:
    """A folder of keys, changed by the commands that people use."""

    folder: Path

    def _run(self, *arguments: str) -> str:
        done = run("stack.keys", *arguments, KEYS_FOLDER=str(self.folder))
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def add(self, name: str, scopes: str, *options: str) -> str:
        """Make a key and return it."""
        return self._run("add", name, "--scopes", scopes, *options)

    def revoke(self, name: str) -> None:
        """Remove a key."""
        self._run("revoke", name)


@dataclass
class Gateway(Server):
    """A running gateway, and its keys."""

    def __init__(self, folder: Path, environ: dict[str, str], port: int):
        """Keep what starts it."""
        super().__init__(START, f"http://{HOST}:{port}", folder / "gateway.log", environ)

    def lines(self) -> list[dict[str, Any]]:
        """Return its access log so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def workers(self) -> list[int]:
        """Return the processes that serve."""
        assert self.process is not None
        return [
            int(child)
            for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def memory(self) -> int:
        """Return the bytes that it holds: its processes' own, and its folder's, which is memory in a container."""
        assert self.process is not None
        pages = sum(_own_memory(pid) for pid in (self.process.pid, *self.workers()))
        files = (Path(root) / name for root, _, names in os.walk(self.environ["GATEWAY_FOLDER"]) for name in names)
        # unfinished bodies are files that were removed while they are open
        opened = sum(_open_files(pid, self.environ["GATEWAY_FOLDER"]) for pid in self.workers())
        return pages + opened + sum(path.stat().st_size for path in files)


def _own_memory(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return (
        sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(("Private_Dirty:", "Private_Clean:")))
        * 1024
    )


def _open_files(pid: int, folder: str) -> int:
    total = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            target = str(link.readlink())
            if target.startswith(folder) and target.endswith("(deleted)"):
                total += link.stat().st_size
    return total


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """The keys of every gateway of this module."""
    keys = Keys(tmp_path_factory.mktemp("keys") / "keys")
    keys.add("first", "read")  # creates the folder
    return keys


@pytest.fixture(scope="module")
def key(keys: Keys) -> str:
    """A key that may do everything, quickly."""
    return keys.add("tester", "score,outcomes,read,deploy", "--rate", "high")


@contextmanager
def gateway(folder: Path, keys: Keys, upstream: str, **environ: str) -> Iterator[Gateway]:
    """Run a gateway in front of `upstream` (host:port)."""
    if shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        raise AssertionError("these tests need Nginx: run `make packages`")
    port = free_port()
    settings = {
        "KEYS_FOLDER": str(keys.folder), "GATEWAY_PORT": str(port), "GATEWAY_UPSTREAM": upstream,
        "GATEWAY_FOLDER": str(folder / "gateway"), "MAX_BODY_BYTES": str(LARGEST), "GATEWAY_USER": "root", **environ,
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    with Gateway(folder, settings, port).running() as server:
        assert isinstance(server, Gateway)
        yield server


def address_of(scorer: Scorer) -> str:
    return scorer.url.removeprefix("http://")


@pytest.fixture(scope="module")
def before_the_scorer(toy_scorer: Scorer, keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("gateway"), keys, address_of(toy_scorer)) as server:
        yield server


class Echo(BaseHTTPRequestHandler):
    """A service that answers what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        about = {
            "service": self.server.server_port,
            "path": self.path,
            "headers": {k.lower(): v for k, v in self.headers.items()},
        }  # type: ignore[attr-defined]
        body = json.dumps(about).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815 - the names of the standard library

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run a service in threads; yield its host:port."""
    with ThreadingHTTPServer((HOST, 0), handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"{HOST}:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    with served(Echo) as address:
        yield address


@pytest.fixture(scope="module")
def before_all_pages(echo: str, keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    pages = {"monitor": "secret", "reports": "secret", "insurance": "secret", "mlflow": "basic:MLFLOW_AUTH"}
    listed = [f"{name}=http://{echo},{auth}" for name, auth in pages.items()]
    with gateway(
        tmp_path_factory.mktemp("pages"), keys, echo,
        GATEWAY_PAGES=" ".join([*listed, f"grafana=http://{echo}/grafana/,pass"]),
        SERVICE_SECRET=SECRET, MLFLOW_AUTH="admin:of-mlflow",
    ) as server:  # fmt: skip
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


# --- Keys ---


@pytest.mark.parametrize("path", ["/predict", "/outcomes", "/invocations", "/", "/docs", "/openapi.json", "/readyz"])
def test_without_a_key_no_path_is_answered(before_the_scorer: Gateway, key: str, path: str) -> None:
    wrong = ({}, {"X-API-Key": ""}, {"X-API-Key": key[:-1]}, {"X-API-Key": key.swapcase()}, {"X-API-Key": key + "x"})
    others = ({"Authorization": "Bearer nobody"}, {"Authorization": f"Bearer {key} {key}"}, {"Authorization": key})
    paths = ({"X-API-Key": "../" * 9 + "etc/hostname"}, {"X-API-Key": "x" * 4000}, {"Cookie": f"scorehouse_8000={key}"})
    for headers in (*wrong, *others, *paths):
        method = "GET" if path in "/docs/openapi.json/readyz" else "POST"
        answer = requests.request(method, f"{before_the_scorer.address}{path}", headers=headers, timeout=10)
        assert "X-API-Key" in problem_of(answer, 401)["detail"]


def test_with_a_key_in_any_of_its_forms_the_scorer_answers(
    before_the_scorer: Gateway, key: str, toy_records: list[dict[str, Any]]
) -> None:
    basic = base64.b64encode(f"scorehouse:{key}".encode()).decode()
    for headers in (
        {"X-API-Key": key}, {"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer {key}"},
        {"Authorization": f"BEARER  {key}"}, {"Authorization": f"Basic {basic}"}, {"Authorization": f"basic {basic}"},
    ):  # fmt: skip
        answer = post(before_the_scorer, "/predict", toy_records[0], **headers)
        assert answer.status_code == 200 and "churn chance" in answer.json(), answer.text
    outcome = {"prediction_id": answer.json()["prediction_id"], "outcome": 1}
    assert post(before_the_scorer, "/outcomes", outcome, **{"X-API-Key": key}).status_code == 202


@pytest.mark.parametrize(
    ("profiles", "listed"),
    [(None, {"insurance", "grafana"}), ("simulators,churn", set()), ("grafana,insurance", {"insurance", "grafana"})],
)
def test_the_list_of_pages_leaves_out_what_no_profile_started(
    tmp_path: Path, echo: str, keys: Keys, key: str, profiles: str | None, listed: set[str]
) -> None:
    pages = {"GATEWAY_PAGES": " ".join(f"{name}=http://{echo},secret" for name in ("monitor", "insurance", "grafana"))}
    chosen = {} if profiles is None else {"GATEWAY_PROFILES": profiles}
    with gateway(tmp_path, keys, echo, SERVICE_SECRET=SECRET, **pages, **chosen) as server:
        page = requests.get(f"{server.address}/pages", headers={"X-API-Key": key}, timeout=10).text
    assert {name for name in ("monitor", "insurance", "grafana") if f'href="/{name}/"' in page} == {"monitor", *listed}


def test_a_page_whose_profile_was_not_started_says_so(tmp_path: Path, echo: str, keys: Keys, key: str) -> None:
    pages = {"GATEWAY_PAGES": "monitor=http://127.0.0.1:9,secret grafana=http://127.0.0.1:9,pass"}
    with gateway(tmp_path, keys, echo, SERVICE_SECRET=SECRET, GATEWAY_PROFILES="simulators", **pages) as server:
        away = requests.get(f"{server.address}/grafana/", headers={"X-API-Key": key}, timeout=10)
        down = requests.get(f"{server.address}/monitor/", headers={"X-API-Key": key}, timeout=10)
    assert "add it to COMPOSE_PROFILES, then run make up" in problem_of(away, 503)["detail"]
    assert "is busy or unavailable; try again" in problem_of(down, 503)["detail"]


def test_a_revoked_key_is_refused_at_once_and_so_is_one_that_expired(before_all_pages: Gateway, keys: Keys) -> None:
    made = keys.add("leaver", "score")
    assert post(before_all_pages, "/predict", {}, **{"X-API-Key": made}).status_code == 200
    keys.revoke("leaver")
    problem_of(post(before_all_pages, "/predict", {}, **{"X-API-Key": made}), 401)
    short = keys.add("guest", "score", "--days", "0.00003")  # 2.6 s
    assert post(before_all_pages, "/predict", {}, **{"X-API-Key": short}).status_code == 200
    until(
        lambda: post(before_all_pages, "/predict", {}, **{"X-API-Key": short}).status_code == 401, 10,
        "the key has expired",
    )  # fmt: skip


ALLOWED = {
    "score": {"POST /predict", "POST /invocations", "POST /explain", "POST /insurance/newc"},
    "outcomes": {"POST /outcomes"},
    "read": {
        "GET /", "GET /docs", "GET /readyz", "GET /monitor/", "GET /reports/churn/x.html", "GET /grafana/d/U54hsxv7k",
        "POST /grafana/api/ds/query", "GET /mlflow/", "POST /mlflow/ajax-api/2.0/mlflow/runs/search",
        "GET /insurance/newc", "GET /monitor/readyz", "GET /pages",
    },
    "deploy": {
        "GET /readyz", "GET /monitor/readyz", "POST /mlflow/api/2.0/mlflow/registered-models/alias",
        "DELETE /mlflow/api/2.0/mlflow/registered-models/alias", "PATCH /mlflow/api/2.0/mlflow/model-versions/update",
        "POST /monitor/anything",
    },
}  # fmt: skip


@pytest.mark.parametrize("scope", ALLOWED)
def test_a_key_may_do_what_its_scopes_say_and_is_told_which_it_lacks(
    before_all_pages: Gateway, keys: Keys, scope: str
) -> None:
    made = keys.add(f"only-{scope}", scope)
    for request in sorted(set().union(*ALLOWED.values())):
        method, path = request.split()
        answer = requests.request(method, f"{before_all_pages.address}{path}", headers={"X-API-Key": made}, timeout=10)
        if request in ALLOWED[scope]:
            assert answer.status_code == 200, f"{request}: {answer.text}"
        else:
            detail = problem_of(answer, 403)["detail"]
            needed = [s for s, may in ALLOWED.items() if request in may]
            assert f"only-{scope} lacks the scope {' or '.join(sorted(needed, reverse=True))}" in detail or needed == [
                "read",
                "deploy",
            ]


@pytest.mark.parametrize("path", ["/monitor/../predict", "/%6d%6fnitor/%2e%2e/predict", "//predict", "/x/../outcomes"])
def test_a_path_is_judged_as_it_is_sent_on(before_all_pages: Gateway, keys: Keys, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {{}}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    name = f"p{abs(hash(path))}"
    may_not = raw(before_all_pages, head.format(keys.add(name, "read")))
    assert b" 403 " in may_not.splitlines()[0]
    may = raw(before_all_pages, head.format(keys.add(f"{name}-all", "score,outcomes")))
    assert json.loads(may.partition(b"\r\n\r\n")[2])["path"] in {"/predict", "/outcomes"}


def raw(server: Server, request: str) -> bytes:
    """Return the bytes that answer a request as it is written."""
    with socket.create_connection((HOST, server.port), timeout=10) as client:
        client.sendall(request.encode())
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_a_request_about_which_nobody_could_decide_is_refused(echo: str, keys: Keys, tmp_path: Path) -> None:
    broken = shutil.copytree(ROOT / "server" / "gateway", tmp_path / "gateway-files")
    script = (broken / "gateway.js").read_text()
    (broken / "gateway.js").write_text(
        script.replace("function refusal(r) {", "function refusal(r) { r.nothing.at.all();")
    )
    settings = {"KEYS_FOLDER": str(keys.folder), "GATEWAY_UPSTREAM": echo, "GATEWAY_USER": "root"}
    port = free_port()
    own = {"GATEWAY_PORT": str(port), "GATEWAY_FOLDER": str(tmp_path / "gateway")}
    server = Gateway(tmp_path, settings | own, port)
    server.command = ["sh", str(broken / "start.sh")]
    with server.running():
        problem_of(post(server, "/predict", {}), 500)


def test_a_key_that_reads_writes_no_artifact_whatever_its_name(before_all_pages: Gateway, keys: Keys) -> None:
    made = keys.add("namer", "read")
    for name in ("search", "graphql", "history"):
        path = f"/mlflow/api/2.0/mlflow-artifacts/mpu/create/1/run/artifacts/{name}"
        problem_of(post(before_all_pages, path, {}, **{"X-API-Key": made}), 403)


# --- What services see ---


def test_services_get_the_callers_name_and_nothing_that_a_client_claims(before_all_pages: Gateway, key: str) -> None:
    claims = {
        "X-API-Key": key, "X-Caller": "somebody-else", "X-Forwarded-For": "10.0.0.1", "X-Forwarded-Prefix": "/evil",
        "Cookie": "visitor=1; scorehouse_" + str(before_all_pages.port) + "=" + "0" * 64, "Connection": "x-caller",
    }  # fmt: skip
    seen = post(before_all_pages, "/predict", {}, **claims).json()["headers"]
    assert (seen["x-caller"], seen["authorization"]) == ("tester", f"Bearer {SECRET}")
    assert seen["x-forwarded-for"] == HOST and seen["cookie"] == "visitor=1"
    assert {"x-api-key", "x-forwarded-prefix"} & seen.keys() == set()
    assert key not in json.dumps(seen)
    monitor = requests.get(f"{before_all_pages.address}/monitor/a%20b?run=1", headers=claims, timeout=10).json()
    assert (monitor["path"], monitor["headers"]["x-forwarded-prefix"]) == ("/a%20b?run=1", "/monitor")
    mlflow = requests.get(f"{before_all_pages.address}/mlflow/x", headers=claims, timeout=10).json()["headers"]
    assert mlflow["authorization"] == f"Basic {base64.b64encode(b'admin:of-mlflow').decode()}"
    assert "x-caller" not in mlflow
    grafana = requests.get(f"{before_all_pages.address}/grafana/d/x", headers=claims, timeout=10).json()
    assert grafana["path"] == "/grafana/d/x" and "authorization" not in grafana["headers"]


def test_the_log_has_a_line_per_request_with_the_caller_and_without_secrets(
    before_all_pages: Gateway, key: str
) -> None:
    post(before_all_pages, "/predict?token=in-the-query", {"a": 1}, **{"X-API-Key": key})
    post(before_all_pages, "/nowhere-without-a-key", {})

    def lines() -> list[dict[str, Any]]:
        known = [line for line in before_all_pages.lines() if line["path"] == "/predict" and line["caller"] == "tester"]
        return known and [line for line in before_all_pages.lines() if line["path"] == "/nowhere-without-a-key"]

    (unknown,) = until(lines, 10, "the lines are written")
    assert (unknown["caller"], unknown["status"], unknown["method"]) == ("", 401, "POST")
    line = next(one for one in before_all_pages.lines() if one["path"] == "/predict" and one["caller"] == "tester")
    assert line["status"] == 200 and line["bytes_in"] > 100 and line["seconds"] >= 0 and line["address"] == HOST
    written = before_all_pages.log.read_text()
    assert not any(secret in written for secret in (key, "in-the-query", SECRET, "of-mlflow"))


def test_no_secret_is_an_argument_or_in_a_file_that_others_read(before_all_pages: Gateway) -> None:
    assert before_all_pages.process is not None
    for pid in (before_all_pages.process.pid, *before_all_pages.workers()):
        assert SECRET not in Path(f"/proc/{pid}/cmdline").read_text()
    folder = Path(before_all_pages.environ["GATEWAY_FOLDER"])
    holding = [path for path in folder.iterdir() if path.is_file() and SECRET in path.read_text()]
    assert holding and {oct(path.stat().st_mode & 0o777) for path in holding} == {"0o600"}


def test_a_faulty_record_is_refused_by_the_scorer_as_without_the_gateway(before_the_scorer: Gateway, key: str) -> None:
    assert "errors" in problem_of(post(before_the_scorer, "/predict", {"gender": "X"}, **{"X-API-Key": key}), 422)


@pytest.mark.parametrize("path", ["/metrics", "/monitor/metrics"])
def test_metrics_are_hidden(before_all_pages: Gateway, key: str, path: str) -> None:
    problem_of(requests.get(f"{before_all_pages.address}{path}", headers={"X-API-Key": key}, timeout=10), 404)


def test_liveness_is_public_and_answered_without_the_scorer(keys: Keys, tmp_path: Path) -> None:
    with gateway(tmp_path, keys, f"{HOST}:{free_port()}") as server:
        assert requests.get(f"{server.address}/healthz", timeout=10).json() == {"status": "alive"}
        problem_of(post(server, "/healthz", {}), 405)


@pytest.mark.parametrize("request_line", ["GET /%zz HTTP/1.1", "GET / HTTP/9.9", "GET"])
def test_what_is_not_http_is_answered_once_and_logged_without_noise(
    before_all_pages: Gateway, request_line: str
) -> None:
    answer = raw(before_all_pages, f"{request_line}\r\nHost: x\r\n\r\n")
    assert answer.count(b'"status":') == 1
    assert "redirection cycle" not in before_all_pages.log.read_text()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_with_the_limit(before_the_scorer: Gateway, key: str, chunked: bool) -> None:
    body = b" " * (LARGEST + 1)
    data = iter([body[:1000], body[1000:]]) if chunked else body
    answer = requests.post(f"{before_the_scorer.address}/predict", data=data, headers={"X-API-Key": key}, timeout=10)
    assert str(LARGEST) in problem_of(answer, 413)["detail"]


# --- Clients that misbehave ---


def timed(gateway: Server, key: str, record: dict[str, Any], count: int) -> np.ndarray:
    """Return the milliseconds of `count` requests, one after another, each of which must be answered."""
    took = np.empty(count)
    with requests.Session() as session:
        session.headers["X-API-Key"] = key
        for i in range(count):
            began = time.perf_counter()
            answer = session.post(f"{gateway.address}/predict", json=record, timeout=10)
            took[i] = (time.perf_counter() - began) * 1000
            assert answer.status_code == 200, answer.text
    return took


@contextmanager
def half_sent(gateway: Server, key: str, count: int, length: int, sent: int) -> Iterator[None]:
    """Keep `count` clients connected that have a key, sent `sent` bytes of a body of `length` and stopped."""
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: {length}\r\n\r\n"
    with ExitStack() as open_:
        for _ in range(count):
            client = open_.enter_context(socket.create_connection((HOST, gateway.port), timeout=10))
            try:
                client.sendall(head.encode() + b" " * sent)
            except OSError:  # refused before it was sent whole
                continue
        yield


ROUNDS = 3  # alone and beside take turns, so that another process on the machine slows both


def require_no_delay(
    name: str, gateway: Server, key: str, record: dict[str, Any], disturbed: Callable[[], AbstractContextManager[Any]],
    most: float, rounds: int = ROUNDS,
) -> None:  # fmt: skip
    """Check that requests are slower by a factor of `most` at worst while `disturbed` is entered, and log both."""
    timed(gateway, key, record, 100)
    alone, beside = [], []
    for _ in range(rounds):
        alone.append(timed(gateway, key, record, 600 // rounds))
        with disturbed():
            beside.append(timed(gateway, key, record, 600 // rounds))
    quiet, busy = np.percentile(np.concatenate(alone), (50, 99)), np.percentile(np.concatenate(beside), (50, 99))
    log.info("p50 and p99 ms: alone %.2f %.2f, %s %.2f %.2f", *quiet, name, *busy)
    assert busy[0] < most * quiet[0] + 1
    assert busy[1] < most * quiet[1] + 10


def test_stalled_clients_and_bodies_over_the_limit_do_not_slow_other_clients(
    before_the_scorer: Gateway, keys: Keys, key: str, toy_records: list[dict[str, Any]]
) -> None:
    record, large = toy_records[0], b"x" * (4 * LARGEST)
    other = keys.add("stalling", "score", "--rate", "high")

    def flood(_: int) -> int:
        headers = {"X-API-Key": other, "Connection": "close"}
        try:
            return requests.post(
                f"{before_the_scorer.address}/predict", data=large, headers=headers, timeout=10
            ).status_code
        except requests.ConnectionError:  # refused before it was sent whole
            return 413

    @contextmanager
    def after_large_bodies() -> Iterator[None]:
        with half_sent(before_the_scorer, other, STALLED, 1000, 1):
            with ThreadPoolExecutor(4) as pool:
                assert set(pool.map(flood, range(70))) == {413}
            yield

    stalled = partial(half_sent, before_the_scorer, other, STALLED, 1000, 1)
    require_no_delay(f"beside {STALLED} stalled clients", before_the_scorer, key, record, stalled, 2)
    require_no_delay("after bodies that are too large", before_the_scorer, key, record, after_large_bodies, 2)


@pytest.mark.parametrize("who", ["hoarder", "stranger"])
def test_many_large_bodies_that_are_not_finished_take_bounded_memory_and_no_other_clients_time(
    toy_scorer: Scorer, keys: Keys, key: str, toy_records: list[dict[str, Any]], tmp_path: Path, who: str
) -> None:
    largest = 1024 * 1024
    own = keys.add(who, "score", "--rate", "high") if who == "hoarder" else "no-key-of-anybody"
    with gateway(tmp_path, keys, address_of(toy_scorer), MAX_BODY_BYTES=str(largest)) as server:
        timed(server, key, toy_records[0], 100)

        @contextmanager
        def beside_bodies() -> Iterator[None]:
            before = server.memory()
            with half_sent(server, own, 250, largest, largest - 200):
                held = server.memory() - before
                log.info("250 half-sent bodies of 1 MB of a %s: %.1f MB", who, held / 2**20)
                assert held < 32 * 2**20
                yield

        require_no_delay("beside 250 half-sent bodies of 1 MB", server, key, toy_records[0], beside_bodies, 2)


LONG_HEAD = b"GET /predict HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"a" * 7900) for i in range(2))


def test_heads_of_strangers_that_are_not_finished_take_bounded_memory(
    toy_scorer: Scorer, keys: Keys, key: str, toy_records: list[dict[str, Any]], tmp_path: Path
) -> None:
    """With 16,384 connections of up to 42 kB, 6,000 of them took 254 MB: all that the container had."""
    connections = 900  # an address may have 1,000
    with gateway(tmp_path, keys, address_of(toy_scorer)) as server, ExitStack() as open_:
        timed(server, key, toy_records[0], 10)
        before = server.memory()
        for _ in range(connections):
            client = open_.enter_context(socket.create_connection((HOST, server.port), timeout=10))
            client.sendall(LONG_HEAD)
        one = (server.memory() - before) / connections
        written = (tmp_path / "gateway" / "nginx.conf").read_text()
        most = 2 * int(re.findall(r"worker_connections (\d+)", written)[0]) // 3  # two in stream.conf, one of HTTP
        log.info("a head that is not finished: %.1f kB; %d of them: %.1f MB", one / 1024, most, one * most / 2**20)
        assert one * most < 300 * 2**20
        timed(server, key, toy_records[0], 10)


def is_open(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@pytest.mark.parametrize("sent", [b"", b"POST /predict HTTP/1.1\r\nHost: x\r\nX-"])
def test_one_address_holds_few_connections_though_it_ends_no_head(
    toy_scorer: Scorer, keys: Keys, key: str, toy_records: list[dict[str, Any]], tmp_path: Path, sent: bytes
) -> None:
    """One machine opened 8,000 in two seconds, and nobody else got one: limits of HTTP begin where a head ends."""
    with gateway(tmp_path, keys, address_of(toy_scorer), GATEWAY_CONNECTIONS="50") as server, ExitStack() as open_:
        clients = []
        for _ in range(150):
            client = open_.enter_context(socket.socket())
            client.bind(("127.0.0.3", 0))
            client.connect((HOST, server.port))
            client.sendall(sent)
            clients.append(client)
        until(lambda: sum(map(is_open, clients)) <= 50, 3, "the others are closed")
        assert sum(map(is_open, clients)) > 40
        timed(server, key, toy_records[0], 10)


def test_strangers_of_many_addresses_who_wait_take_bounded_memory(
    toy_scorer: Scorer, keys: Keys, key: str, toy_records: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Each takes up to 96 kB while its refusal waits for its turn; without a limit, 8,000 short ones took 520 MB."""
    with gateway(tmp_path, keys, address_of(toy_scorer)) as server, ExitStack() as open_:
        timed(server, key, toy_records[0], 10)
        before = server.memory()
        for number in range(6000):
            client = open_.enter_context(socket.socket())
            client.settimeout(10)
            client.bind((f"127.0.1.{1 + number % 20}", 0))
            with suppress(OSError):  # closed, because too many wait
                client.connect((HOST, server.port))
                client.sendall(LONG_HEAD + b"\r\n")
        held = server.memory() - before
        log.info("6,000 strangers: %.1f MB", held / 2**20)
        assert held < 256 * 2**20
        timed(server, key, toy_records[0], 10)


@contextmanager
def flooded(
    server: Server, path: str, connections: int, method: str = "GET", headers: str = ""
) -> Iterator[Callable[[], int]]:
    """Ask `path` on many connections, again as soon as an answer begins; yield a count of answers."""
    request = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode()
    stop, asked, answers = Event(), [0], [0]

    def ask() -> None:
        while not stop.is_set():
            try:
                with socket.create_connection((HOST, server.port), timeout=60) as client:
                    while not stop.is_set():
                        client.sendall(request)
                        asked[0] += 1
                        answer = client.recv(65536)
                        if not answer:
                            break
                        answers[0] += 1
                        while b"}" not in answer and (more := client.recv(65536)):  # the rest of it
                            answer += more
            except OSError:
                time.sleep(0.01)

    threads = [Thread(target=ask, daemon=True) for _ in range(connections)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: asked[0] >= connections, 60, "every connection has asked")
        yield lambda: answers[0]
    finally:
        stop.set()


@pytest.mark.parametrize("connections", [200, 900])
@pytest.mark.parametrize("path", ["/healthz", "/predict"])
def test_clients_without_a_key_take_no_place_and_no_time_of_those_who_have_one(
    toy_scorer: Scorer, keys: Keys, key: str, toy_records: list[dict[str, Any]], tmp_path: Path, path: str,
    connections: int,
) -> None:  # fmt: skip
    with gateway(tmp_path, keys, address_of(toy_scorer)) as server:

        @contextmanager
        def beside_a_flood() -> Iterator[None]:
            with flooded(server, path, connections) as answered:
                until(answered, 10, "the flood is answered")
                yield
                assert answered() < 2000, "an answer at once invites the next request"

        # Once: what a flood leaves behind waits for its refusals up to a minute.
        require_no_delay(f"beside {connections} to {path}", server, key, toy_records[0], beside_a_flood, 1.5, rounds=1)


def test_a_client_that_sends_too_fast_is_told_its_tier_and_when_to_try_again(
    echo: str, keys: Keys, tmp_path: Path
) -> None:
    slow, other = keys.add("slow", "score", "--rate", "low"), keys.add("usual", "score")
    with gateway(tmp_path, keys, echo, GATEWAY_RATE_LOW="5") as server:
        answers = [post(server, "/predict", {}, **{"X-API-Key": slow}) for _ in range(20)]
        refused = [a for a in answers if a.status_code == 429]
        assert refused and {a.headers["Retry-After"] for a in refused} == {"1"}
        assert "slow has tier low, which allows 5 requests per second" in problem_of(refused[0], 429)["detail"]
        assert {post(server, "/predict", {}, **{"X-API-Key": other}).status_code for _ in range(20)} == {200}


@pytest.mark.parametrize(("method", "status"), [("POST", 429), ("GET", 403)])
def test_a_key_that_is_refused_again_and_again_takes_no_other_clients_time(
    toy_scorer: Scorer, keys: Keys, key: str, toy_records: list[dict[str, Any]], tmp_path: Path, method: str,
    status: int,
) -> None:  # fmt: skip
    """Answered at once, 50 connections of a slow key raised another client's median 6 times."""
    slow = keys.add(f"hasty-{status}", "score", "--rate", "low")
    with gateway(tmp_path, keys, address_of(toy_scorer)) as server:
        headers = f"X-API-Key: {slow}\r\nContent-Length: 0\r\n"
        hasty = partial(flooded, server, "/predict", 50, method, headers)
        require_no_delay("beside a key that is refused", server, key, toy_records[0], hasty, 2)
        with hasty() as answered:
            time.sleep(3)
            before = answered()
            time.sleep(3)
            assert answered() - before < 3 * (50 + 20) * 1.5, "each connection is answered once a second, and its tier"
        assert any(line["status"] == status for line in server.lines() if line["caller"] == f"hasty-{status}")


class Slow(BaseHTTPRequestHandler):
    """A scorer that takes a second to answer."""

    def do_POST(self) -> None:
        time.sleep(1)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_full_scorer_and_one_that_is_down_are_reported_as_503(keys: Keys, key: str, tmp_path: Path) -> None:
    with served(Slow) as scorer, gateway(tmp_path / "full", keys, scorer, GATEWAY_MOST="2") as server:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: post(server, "/predict", {}, **{"X-API-Key": key}), range(8)))
        full = [a for a in answers if a.status_code != 200]
        assert len(full) == 6
        assert {a.headers["Retry-After"] for a in full} == {"2"}
        problem_of(full[0], 503)
    with gateway(tmp_path / "away", keys, f"{HOST}:{free_port()}") as server:
        assert problem_of(post(server, "/predict", {}, **{"X-API-Key": key}), 503)


# --- People ---


def sign_in(server: Server, key: str, **form: str) -> requests.Session:
    """Return a session of a person with this key."""
    person = requests.Session()
    answer = person.post(f"{server.address}/login", data={"key": key, **form}, timeout=10, allow_redirects=False)
    assert answer.status_code == 303, answer.text
    return person


def test_a_person_signs_in_sees_the_pages_and_signs_out(before_all_pages: Gateway, keys: Keys) -> None:
    key = keys.add("anna", "read")
    person = sign_in(before_all_pages, key)
    seen = person.get(f"{before_all_pages.address}/monitor/", timeout=10)
    assert seen.json()["headers"]["x-caller"] == "anna"
    (cookie,) = person.cookies
    assert cookie.has_nonstandard_attr("HttpOnly") and cookie.get_nonstandard_attr("SameSite") == "Strict"
    assert not cookie.secure and cookie.value is not None and key not in cookie.value
    stored = list((Path(before_all_pages.environ["GATEWAY_FOLDER"]) / "sessions").iterdir())
    assert cookie.value not in "".join(path.name + path.read_text() for path in stored)
    problem_of(person.post(f"{before_all_pages.address}/predict", json={}, timeout=10), 403)
    copied = {"Cookie": f"{cookie.name}={cookie.value}"}
    assert person.post(f"{before_all_pages.address}/logout", timeout=10, allow_redirects=False).status_code == 303
    problem_of(requests.get(f"{before_all_pages.address}/monitor/", headers=copied, timeout=10), 401)


def test_a_session_ends_with_its_key(before_all_pages: Gateway, keys: Keys) -> None:
    person = sign_in(before_all_pages, keys.add("bert", "read"))
    assert person.get(f"{before_all_pages.address}/docs", timeout=10).ok
    keys.revoke("bert")
    problem_of(person.get(f"{before_all_pages.address}/docs", timeout=10), 401)


def test_a_session_ends_by_itself_and_a_key_has_few_of_them(echo: str, keys: Keys, tmp_path: Path) -> None:
    key = keys.add("dora", "read")
    with gateway(tmp_path, keys, echo) as server:
        folder = tmp_path / "gateway" / "sessions"
        person = sign_in(server, key)
        (file,) = folder.iterdir()
        assert 11.9 < (json.loads(file.read_text())["ends"] / 1000 - time.time()) / 3600 < 12.1
        file.write_text(json.dumps({**json.loads(file.read_text()), "ends": (time.time() - 1) * 1000}))
        problem_of(person.get(f"{server.address}/docs", timeout=10), 401)
        assert len(list(folder.iterdir())) == 1
        sign_in(server, key)
        assert len(list(folder.iterdir())) == 1, "the session that ended is removed at the next login"
        digest = json.loads(next(folder.iterdir()).read_text())["key"]
        for number in range(30):
            (folder / f"{number:064x}").write_text(
                json.dumps({"key": digest, "ends": (time.time() + number) * 1000 + 9e6})
            )
        sign_in(server, key)
        assert len(list(folder.iterdir())) == 20


@pytest.mark.parametrize(
    "next_page", ["//evil.example/", "https://evil.example/", "/\\evil.example", "/%0d%0aX: y", ""]
)
def test_the_login_leads_to_pages_of_this_host_alone(before_all_pages: Gateway, keys: Keys, next_page: str) -> None:
    key = keys.add(f"n{abs(hash(next_page))}", "read")
    answer = requests.post(
        f"{before_all_pages.address}/login", data={"key": key, "next": next_page}, timeout=10, allow_redirects=False
    )
    assert answer.headers["Location"] in {"/pages", next_page if next_page.startswith("/%") else "/pages"}
    assert "X" not in answer.headers


def test_a_key_without_read_and_a_page_of_another_site_cannot_sign_in(echo: str, keys: Keys, tmp_path: Path) -> None:
    with gateway(tmp_path, keys, echo) as server:
        scoring, reading = keys.add("shop", "score"), keys.add("eve", "read")
        answer = requests.post(f"{server.address}/login", data={"key": scoring}, timeout=10)
        assert answer.status_code == 403 and "lacks the scope read" in answer.text
        foreign = {"Origin": "https://evil.example"}
        assert (
            requests.post(f"{server.address}/login", data={"key": reading}, headers=foreign, timeout=10).status_code
            == 403
        )
        person = sign_in(server, reading)
        for origin in ("https://evil.example", "null", f"http://{HOST}:1"):
            answer = person.post(f"{server.address}/grafana/x", json={}, headers={"Origin": origin}, timeout=10)
            assert answer.status_code == 403
        assert (
            person.get(f"{server.address}/", headers={"Origin": "null", "Upgrade": "websocket"}, timeout=10).status_code
            == 403
        )


def test_logins_are_limited_by_address(echo: str, keys: Keys, tmp_path: Path) -> None:
    with gateway(tmp_path, keys, echo) as server:
        tried = [requests.post(f"{server.address}/login", data={"key": "x"}, timeout=10).status_code for _ in range(15)]
        assert tried[:11] == [401] * 11 and tried[11] == 429


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESK, "dark")])
def test_a_browser_is_sent_to_the_login_and_back(
    browser: Browser, before_the_scorer: Gateway, keys: Keys, size: dict[str, int], scheme: str, tmp_path: Path
) -> None:
    key = keys.add(f"person-{scheme}", "read,score")
    with watched_page(browser, viewport=size, color_scheme=scheme) as page:
        page.goto(f"{before_the_scorer.address}/docs?from=a%20mail")
        page.wait_for_url("**/login?next=*")
        page.screenshot(path=tmp_path / f"login-{scheme}.png")
        page.get_by_label("Key").fill("not-a-key")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("alert").wait_for()
        page.screenshot(path=tmp_path / f"wrong-{scheme}.png")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_label("Key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/docs?from=a%20mail")
        page.goto(f"{before_the_scorer.address}/pages")
        page.screenshot(path=tmp_path / f"pages-{scheme}.png")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("link", name="Try the model").click()
        page.get_by_role("button", name="Random example").click()
        page.get_by_role("button", name="Predict").click()
        page.goto(f"{before_the_scorer.address}/pages")
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/login")


def test_a_link_of_another_site_leads_a_signed_in_person_to_the_page(
    browser: Browser, before_the_scorer: Gateway, keys: Keys
) -> None:
    """A browser leaves a strict cookie out when another site's link leads here: the login must not ask again."""
    key = keys.add("linked", "read")
    with watched_page(browser) as page:
        page.goto(f"{before_the_scorer.address}/login")
        page.get_by_label("Key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/pages")
        page.route("http://mail.example/", lambda route: route.fulfill(
            body=f'<a href="{before_the_scorer.address}/docs">here</a>', content_type="text/html"))  # fmt: skip
        page.goto("http://mail.example/")
        page.get_by_role("link", name="here").click()
        page.wait_for_url(f"{before_the_scorer.address}/docs")


# --- Ports of this machine ---


@contextmanager
def local_ports(folder: Path, keys: Keys, echo: str, **environ: str) -> Iterator[tuple[Gateway, dict[str, str]]]:
    """Run a gateway for ports of this machine alone; yield it, and the address of each service."""
    ports = {name: free_port() for name in ("scorer", "grafana", "prefect", "reports")}
    (folder / "reports").mkdir(parents=True)
    urls = {
        "scorer": f"http://{echo},secret", "grafana": f"http://{echo}/grafana/,pass",
        "prefect": f"http://{echo},basic:PREFECT_API_AUTH_STRING", "reports": str(folder / "reports"),
    }  # fmt: skip
    settings = {
        "GATEWAY_FOLDER": str(folder / "gateway"), "GATEWAY_USER": "root", "SERVICE_SECRET": SECRET,
        "PREFECT_API_AUTH_STRING": "admin:of-prefect",
        "LOCAL_PORTS": " ".join(f"{port}:{name}={urls[name]}" for name, port in ports.items()), **environ,
    }  # fmt: skip
    with Gateway(folder, settings, ports["scorer"]).running() as server:
        assert isinstance(server, Gateway)
        yield server, {name: f"http://{HOST}:{port}" for name, port in ports.items()}


def test_on_a_port_of_this_machine_a_service_answers_without_a_key(echo: str, keys: Keys, tmp_path: Path) -> None:
    with local_ports(tmp_path, keys, echo) as (_, addresses):
        scorer = requests.post(f"{addresses['scorer']}/predict", json={}, headers={"X-Caller": "me"}, timeout=10).json()
        assert scorer["headers"]["authorization"] == f"Bearer {SECRET}" and "x-caller" not in scorer["headers"]
        grafana = requests.get(f"{addresses['grafana']}/d/x?y=1", headers={"Authorization": "Bearer own"}, timeout=10)
        assert (
            grafana.json()["path"] == "/grafana/d/x?y=1" and grafana.json()["headers"]["authorization"] == "Bearer own"
        )
        prefect = requests.post(f"{addresses['prefect']}/api/flows/", headers={"Authorization": "x"}, timeout=10).json()
        assert prefect["headers"]["authorization"] == f"Basic {base64.b64encode(b'admin:of-prefect').decode()}"
        assert "No reports yet" in requests.get(f"{addresses['reports']}/", timeout=10).text
        (tmp_path / "reports" / "index.html").write_text("the index")
        assert requests.get(f"{addresses['reports']}/", timeout=10).text == "the index"
        assert requests.get(f"{addresses['reports']}/..%2fgateway%2fvalues.conf", timeout=10).status_code in {400, 404}


def test_on_a_port_of_this_machine_names_and_pages_of_others_are_refused(echo: str, keys: Keys, tmp_path: Path) -> None:
    with local_ports(tmp_path, keys, echo, ALLOWED_HOSTS="house.example") as (_, addresses):
        port = addresses["scorer"].rpartition(":")[2]
        for address in (addresses["scorer"], addresses["reports"]):
            for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil", f"evil.example:{port}"):
                problem_of(requests.get(address, headers={"Host": host}, timeout=10), 421)
            for host in ("localhost", f"localhost:{port}", "house.example", "[::1]", "10.0.0.7", "scorer"):
                assert requests.get(address, headers={"Host": host}, timeout=10).ok
        for origin in ("https://evil.example", "null", f"http://{HOST}:1"):
            answer = requests.post(addresses["scorer"], json={}, headers={"Origin": origin}, timeout=10)
            assert "Origin" in problem_of(answer, 403)["detail"]
        own = {"Origin": addresses["scorer"]}
        assert requests.post(addresses["scorer"], json={}, headers=own, timeout=10).ok
        trusted = {"Host": "evil.example", "Authorization": f"Bearer {SECRET}"}
        assert requests.get(addresses["scorer"], headers=trusted, timeout=10).ok


SHOP = "https://shop.example.com"
PREFLIGHT = {"Origin": SHOP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}


def test_a_page_of_a_site_in_cors_origins_uses_the_scorer_with_a_key(
    toy_scorer: Scorer, toy_records: list[dict[str, Any]], keys: Keys, key: str, tmp_path: Path
) -> None:
    origins = f"http://localhost:3000, {SHOP}"
    with gateway(tmp_path, keys, address_of(toy_scorer), CORS_ORIGINS=origins) as server:
        predict = f"{server.address}/predict"
        asked = requests.options(predict, headers=PREFLIGHT, timeout=10)
        assert (asked.status_code, asked.content) == (200, b"")
        assert asked.headers["Access-Control-Allow-Origin"] == SHOP
        assert "X-API-Key" in asked.headers["Access-Control-Allow-Headers"]
        assert "POST" in asked.headers["Access-Control-Allow-Methods"]
        page = {"Origin": SHOP, "X-API-Key": key}
        answers = [
            requests.post(predict, json=toy_records[0], headers=page, timeout=10),
            requests.post(predict, json={}, headers=page, timeout=10),
            requests.post(predict, json={}, headers={"Origin": SHOP}, timeout=10),
        ]
        assert [answer.status_code for answer in answers] == [200, 422, 401]
        for answer in answers:
            assert (answer.headers["Access-Control-Allow-Origin"], answer.headers["Vary"]) == (SHOP, "Origin")
        stranger = {"Origin": "https://evil.example"}
        for refused in (
            requests.post(predict, json={}, headers={**page, **stranger}, timeout=10),
            requests.options(predict, headers={**PREFLIGHT, **stranger}, timeout=10),
            requests.post(f"{server.address}/login", data={"key": key}, headers={"Origin": SHOP}, timeout=10),
        ):
            assert refused.status_code in {401, 403}
            assert "Access-Control-Allow-Origin" not in refused.headers


def test_a_page_of_a_site_in_cors_origins_uses_the_scorers_port_and_no_other(
    echo: str, keys: Keys, tmp_path: Path
) -> None:
    with local_ports(tmp_path, keys, echo, CORS_ORIGINS=SHOP) as (_, addresses):
        assert requests.options(addresses["scorer"], headers=PREFLIGHT, timeout=10).ok
        answer = requests.post(addresses["scorer"], json={}, headers={"Origin": SHOP}, timeout=10)
        assert (answer.ok, answer.headers["Access-Control-Allow-Origin"]) == (True, SHOP)
        problem_of(
            requests.options(addresses["scorer"], headers={**PREFLIGHT, "Host": "evil.example"}, timeout=10), 421
        )
        for other in ("grafana", "prefect"):
            problem_of(requests.post(addresses[other], json={}, headers={"Origin": SHOP}, timeout=10), 403)
            assert (
                "Access-Control-Allow-Origin"
                not in requests.options(addresses[other], headers=PREFLIGHT, timeout=10).headers
            )


def test_where_others_reach_the_ports_of_this_machine_a_key_is_needed(echo: str, keys: Keys, tmp_path: Path) -> None:
    reading, scoring = keys.add("reader", "read"), keys.add("scoring", "score")
    settings = {"LOCAL_BIND": "10.0.0.7", "KEYS_FOLDER": str(keys.folder)}
    with local_ports(tmp_path, keys, echo, **settings) as (server, addresses):
        for address in addresses.values():
            problem_of(requests.get(address, timeout=10), 401)
            assert requests.get(address, headers={"X-API-Key": reading}, timeout=10).ok
            problem_of(requests.get(address, headers={"X-API-Key": scoring}, timeout=10), 403)
        predict = f"{addresses['scorer']}/predict"
        seen = requests.post(predict, json={}, headers={"X-API-Key": scoring}, timeout=10).json()
        assert seen["headers"]["x-caller"] == "scoring"
        problem_of(requests.post(predict, json={}, headers={"X-API-Key": reading}, timeout=10), 403)
        assert requests.post(predict, json={}, headers={"Authorization": f"Bearer {SECRET}"}, timeout=10).ok
        person = sign_in(server, reading)
        assert person.get(addresses["grafana"], timeout=10).ok


# --- The start ---


def test_it_serves_tls_when_it_has_a_certificate(toy_scorer: Scorer, keys: Keys, key: str, tmp_path: Path) -> None:
    openssl = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost",
         "-keyout", tmp_path / "privkey.pem", "-out", tmp_path / "fullchain.pem"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert openssl.returncode == 0, openssl.stderr
    with gateway(tmp_path / "gateway", keys, address_of(toy_scorer), GATEWAY_TLS=str(tmp_path)) as server:
        context = ssl.create_default_context(cafile=str(tmp_path / "fullchain.pem"))
        context.check_hostname = False
        with socket.create_connection((HOST, server.port), 10) as plain, context.wrap_socket(plain) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        answer = requests.post(
            f"https://localhost:{server.port}/login", data={"key": key}, verify=str(tmp_path / "fullchain.pem"),
            timeout=10, allow_redirects=False,
        )  # fmt: skip
        assert "; Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"GATEWAY_API_KEYS": "x" * 24}, "GATEWAY_API_KEYS is no longer read"),
        ({"KEYS_FOLDER": ""}, "KEYS_FOLDER is not set"),
        ({"KEYS_FOLDER": "/nowhere"}, "cannot open KEYS_FOLDER=/nowhere"),
        ({"GATEWAY_TLS": "/nowhere"}, "cannot read fullchain.pem in GATEWAY_TLS"),
        ({"GATEWAY_RATE": "fast"}, "fast is not a whole number"),
        ({"SERVICE_SECRET": "a'b"}, "SERVICE_SECRET may contain only"),
        ({"GATEWAY_PAGES": "monitor=ftp://x:1"}, "the URL must be http://host:port"),
        ({"GATEWAY_PAGES": "monitor=http://x:1,open"}, "open is not secret, pass or basic:VARIABLE"),
        ({"GATEWAY_PAGES": "monitor=http://x:1;y"}, "characters that are not allowed"),
        ({"LOCAL_PORTS": "scorer=http://x:1"}, "write PORT:NAME=URL"),
        ({"LOCAL_PORTS": "1:scorer=http://x:1", "LOCAL_BIND": "10.0.0.7", "KEYS_FOLDER": ""}, "KEYS_FOLDER is not set"),
        ({"GATEWAY_UPSTREAM": ""}, "set one of them"),
    ],
)
def test_with_settings_that_are_not_safe_it_does_not_start(
    settings: dict[str, str], reason: str, tmp_path: Path
) -> None:
    usual = {"GATEWAY_UPSTREAM": f"{HOST}:9", "KEYS_FOLDER": str(tmp_path), "GATEWAY_FOLDER": str(tmp_path / "gateway")}
    environ = {**os.environ, **usual, "GATEWAY_PORT": str(free_port()), **settings}
    ended = subprocess.run(START, env=environ, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("gateway: ") and reason in ended.stderr


# --- Real pages below a path ---


@pytest.fixture(scope="module")
def house(toy: Model, toy_scorer: Scorer, keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway before the scorer, a monitor, MLflow with an experiment, and reports."""
    folder = tmp_path_factory.mktemp("house")
    monitor = processes.monitor(folder / "monitor", models.cache_in(folder / "monitor", toy))
    reports = processes.door("reporting.serve", "REPORT_PORT", folder / "reports", {})
    (folder / "reports" / "reports").mkdir()
    links = '<nav><a href="http://127.0.0.1:8085/" data-gateway="/monitor/">Monitor</a></nav>'
    (folder / "reports" / "reports" / "index.html").write_text(f"<title>Reports</title>{links}")
    with mlflow(folder / "mlflow").running() as registry, processes.started(monitor, reports):
        requests.post(
            f"{registry.address}/api/2.0/mlflow/experiments/create", json={"name": "trials-of-a-test"}, timeout=30
        ).raise_for_status()
        until(lambda: answers(f"{monitor.url}/healthz") and answers(f"{reports.url}/"), 60, "the pages answer")
        pages = {"monitor": monitor.url + ",secret", "reports": reports.url, "mlflow": registry.address}
        listed = " ".join(f"{name}={url}" for name, url in pages.items())
        with gateway(folder / "gateway", keys, address_of(toy_scorer), GATEWAY_PAGES=listed) as server:
            yield server


@pytest.mark.parametrize("size", [PHONE, DESK])
def test_every_page_works_below_its_path(
    browser: Browser, house: Gateway, keys: Keys, size: dict[str, int], tmp_path: Path
) -> None:
    key = keys.add(f"visitor-{size['width']}", "read")
    with watched_page(browser, viewport=size) as page:
        failed: list[str] = []
        page.on("response", lambda r: failed.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        page.goto(f"{house.address}/pages")
        page.get_by_label("Key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/pages")
        failed.clear()  # the answer before the login
        page.screenshot(path=tmp_path / "pages.png")
        page.get_by_role("link", name="Monitor").click()
        page.wait_for_url("**/monitor/")
        expect(page.get_by_role("link", name="All pages")).to_be_visible()
        page.screenshot(path=tmp_path / "monitor.png")
        page.get_by_role("link", name="Reports").click()
        page.wait_for_url("**/reports/")
        page.goto(f"{house.address}/mlflow/#/experiments")
        expect(page.get_by_text("trials-of-a-test").first).to_be_visible()
        page.screenshot(path=tmp_path / "mlflow.png")
        page.goto(f"{house.address}/docs")
        page.get_by_role("link", name="All pages").click()
        page.wait_for_url("**/pages")
        # MLflow's own answer where it has no users
        assert [f for f in failed if not f.endswith("/mlflow/ajax-api/2.0/mlflow/users/current")] == []
