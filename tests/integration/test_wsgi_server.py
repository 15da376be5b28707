"""The server of all pages: what a client that stalls, floods or breaks the protocol costs the others."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from threading import Event
from typing import Any

import pytest

from scorehouse import wsgi_server
from scorehouse.access import Access
from scorehouse.wsgi_server import MOST_BODY_BYTES, THREADS, WsgiServer
from tests.toy import HOST, until

LARGE = b"x" * 8_000_000
OPEN = Access("", frozenset())
SECRET = "s" * 32
PROMPT = 2.0  # seconds: an answer that waited for nobody
Start = Callable[..., WsgiServer]


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer /large with much, /error with an exception, and everything else with what arrived."""
    path = environ["PATH_INFO"]
    if path == "/error":
        raise RuntimeError("this page is broken")
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    answer = LARGE if path == "/large" else environ["REQUEST_METHOD"].encode() + b" " + body
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def started(app: Any = application, access: Access = OPEN) -> WsgiServer:
            server = WsgiServer(app, HOST, 0, access)
            stack.callback(server.stop)
            server.start("pages")
            return server

        yield started


def ask(server: WsgiServer, method: str = "GET", path: str = "/", **more: Any) -> tuple[int, bytes]:
    """Return status and body of one request on a connection of its own."""
    connection = HTTPConnection(HOST, server.port, timeout=10)
    try:
        connection.request(method, path, **more)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def stalled(server: WsgiServer, sent: bytes) -> socket.socket:
    """Return a connection on which `sent` was sent and nothing follows."""
    return stalled_at(server.port, sent)


def stalled_at(port: int, sent: bytes) -> socket.socket:
    client = socket.create_connection((HOST, port), timeout=10)
    client.sendall(sent)
    return client


def seconds_until_closed(client: socket.socket) -> float:
    """Read until the server closes the connection."""
    since = time.monotonic()
    try:
        while client.recv(65_536):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - since


HALF_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-"
HALF_BODY = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf"
UNREAD = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
STALLS = pytest.mark.parametrize("sent", [b"", HALF_HEAD, HALF_BODY, UNREAD], ids=["nothing", "head", "body", "unread"])


@STALLS
def test_stalled_clients_hold_no_thread_and_delay_nobody(start: Start, sent: bytes) -> None:
    before = wsgi_threads()
    server = start()
    with ExitStack() as stack:
        for _ in range(2 * THREADS if sent == UNREAD else 50):
            stack.enter_context(stalled(server, sent))
        time.sleep(0.5)  # all of them have stalled by now
        for _ in range(20):
            since = time.monotonic()
            assert ask(server) == (200, b"GET ")
            assert time.monotonic() - since < PROMPT
        assert wsgi_threads() - before <= THREADS


def wsgi_threads() -> int:
    return sum(thread.name.startswith("WSGI") for thread in threading.enumerate())


@STALLS
def test_a_stalled_client_loses_its_connection_after_its_time(
    start: Start, sent: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wsgi_server, "REQUEST_SECONDS", 0.5)
    monkeypatch.setattr(wsgi_server, "ANSWER_SECONDS", 0.5)
    server = start()
    with stalled(server, sent) as client:
        if sent == UNREAD:
            time.sleep(1.0)
        assert seconds_until_closed(client) < PROMPT
    assert ask(server) == (200, b"GET ")
    assert caplog.records == []


def test_a_client_that_sends_a_byte_now_and_then_has_no_more_time(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi_server, "REQUEST_SECONDS", 0.5)
    with stalled(start(), HALF_BODY) as client, pytest.raises(OSError):
        for _ in range(50):
            client.sendall(b"x")
            time.sleep(0.05)


def test_a_body_that_is_too_large_is_refused_whether_its_length_is_declared_or_not(start: Start) -> None:
    server = start()
    assert ask(server, "POST", body=b"x" * MOST_BODY_BYTES)[0] == 200
    chunks = [b"x" * 1000] * (MOST_BODY_BYTES // 1000 + 1)
    for more in ({"body": b"x" * (MOST_BODY_BYTES + 1)}, {"body": iter(chunks), "encode_chunked": True}):
        headers = {"Transfer-Encoding": "chunked"} if "encode_chunked" in more else {}
        status, said = ask(server, "POST", headers=headers, **more)
        assert (status, said) == (413, b"The body must not exceed 65,536 bytes.\n")


def test_a_body_in_chunks_reaches_the_application(start: Start) -> None:
    chunked = {"headers": {"Transfer-Encoding": "chunked"}, "encode_chunked": True}
    assert ask(start(), "POST", body=iter([b"one", b"two"]), **chunked) == (200, b"POST onetwo")


def test_a_header_with_an_underscore_does_not_pass_for_one_with_a_hyphen(start: Start) -> None:
    def forwarded(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ.get("HTTP_X_FORWARDED_FOR", "none").encode()]

    server = start(forwarded)
    assert ask(server, headers={"X_Forwarded_For": "192.0.2.1"}) == (200, b"none")
    assert ask(server, headers={"X-Forwarded-For": "192.0.2.2", "X_Forwarded_For": "192.0.2.1"}) == (200, b"192.0.2.2")


def test_one_connection_carries_many_requests_and_head_has_no_body(start: Start) -> None:
    connection = HTTPConnection(HOST, start().port, timeout=10)
    for method, body in (("GET", b"GET "), ("HEAD", b""), ("GET", b"GET ")):
        connection.request(method, "/")
        if method == "GET":
            local = connection.sock
        answer = connection.getresponse()
        assert (answer.status, answer.read(), connection.sock) == (200, body, local)
        assert answer.headers["Content-Length"] == str(len(method) + 1)
        assert "Server" not in answer.headers and "Date" in answer.headers
    connection.close()


def test_an_answer_does_not_wait_for_its_second_half(start: Start) -> None:
    connection = HTTPConnection(HOST, start().port, timeout=10)
    times = []
    for _ in range(20):
        since = time.monotonic()
        connection.request("GET", "/")
        connection.getresponse().read()
        times.append(time.monotonic() - since)
    connection.close()
    assert min(times[1:]) < 0.03  # a delayed acknowledgement takes 40 ms


def test_more_clients_than_allowed_are_refused_and_far_more_are_not_even_heard(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi_server, "MOST_CONNECTIONS", 5)
    server = start()
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(stalled(server, HALF_HEAD))
        assert ask(server)[0] == 503
        for _ in range(5):
            stack.enter_context(stalled(server, HALF_HEAD))
        with pytest.raises(OSError):
            ask(server)
    until(lambda: ask(server)[0] == 200, 5, "the others are gone")


def test_an_error_of_the_application_is_logged_once_and_answered(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server = start()
    assert ask(server, path="/error")[0] == 500
    (record,) = caplog.records
    assert record.levelno == logging.ERROR and record.exc_info and "this page is broken" in str(record.exc_info[1])
    assert ask(server)[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /?a=\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n" + b"x" * 99999 + b"no HTTP\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"8000\r\n%b\r\n" % (b"x" * 32768) * 3
        + b"z\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000,
    ],
    ids=["tls", "path", "query", "length", "chunk", "after-413", "chunk-after-413", "head"],
)
def test_what_is_not_http_is_refused_without_noise(start: Start, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    server = start()
    with stalled(server, sent) as client:
        assert client.recv(100).split(b" ", 2)[1] in (b"400", b"413")
        assert seconds_until_closed(client) < PROMPT
    assert ask(server)[0] == 200
    assert caplog.records == []


def test_stop_answers_the_request_under_way_and_gives_the_port_back() -> None:
    arrived, go_on, answers = Event(), Event(), list[tuple[int, bytes]]()

    def slow(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        arrived.set()
        go_on.wait(10)
        return application(environ, start_response)

    server = WsgiServer(slow, HOST, 0, OPEN)
    server.start("pages")
    client = threading.Thread(target=lambda: answers.append(ask(server)))
    client.start()
    assert arrived.wait(10)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    until(lambda: not listening(server.port), 5, "nobody else is let in")
    go_on.set()
    stopping.join(10)
    client.join(10)
    assert answers == [(200, b"GET ")]
    WsgiServer(application, HOST, server.port, OPEN).stop()


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


PROGRAM = """
import time
from scorehouse.access import Access
from scorehouse.wsgi_server import WsgiServer

def slow(environ, start_response):
    print("arrived", flush=True)
    time.sleep(1)
    start_response("200 OK", [("Content-Length", "4")])
    return [b"done"]

server = WsgiServer(slow, "127.0.0.1", 0, Access("", frozenset()))
print(server.port, flush=True)
server.run()
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_in_peace_once_the_request_under_way_is_answered(number: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    with process, process.stdout as said:
        with stalled_at(int(said.readline()), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") as client:
            assert said.readline() == "arrived\n"
            process.send_signal(number)
            assert client.makefile("rb").read().endswith(b"\r\n\r\ndone")
        assert said.read() == "ended\n"
        assert process.wait(10) == 0


def test_a_port_that_is_taken_is_an_error_before_anything_is_served(start: Start) -> None:
    with pytest.raises(OSError, match="Address already in use"):
        WsgiServer(application, HOST, start().port, OPEN)


def test_without_the_secret_a_page_is_refused_and_healthz_answered(start: Start) -> None:
    server = start(access=Access(SECRET, frozenset()))
    status, body = ask(server, path="/readyz")
    assert status == 401 and b"SERVICE_SECRET" in body and SECRET.encode() not in body
    assert ask(server, "POST", "/healthz", body=b"x")[0] == 401
    assert ask(server, path="/healthz") == (200, b"GET ")
    assert ask(server, path="/readyz", headers={"Authorization": f"Bearer {SECRET}"}) == (200, b"GET ")


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"Host": "evil.example"}, 421), ("POST", {"Origin": "http://evil.example"}, 403),
        ("GET", {"Host": "localhost:8085"}, 200), ("POST", {"Origin": "http://127.0.0.1:8080"}, 200),
    ],
)  # fmt: skip
def test_a_page_of_another_site_is_refused(start: Start, method: str, headers: dict[str, str], status: int) -> None:
    assert ask(start(), method, headers=headers)[0] == status
