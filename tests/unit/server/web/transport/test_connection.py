"""One connection, byte by byte: requests come whole, answers leave in order, and nothing is waited for without end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from server.web.transport import connection as module
from server.web.transport.connection import Connection
from server.web.transport.reader import DRAINED, MOST_HEAD
from server.web.transport.wsgi import Request

LIMIT = 1000
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
WHOLE = HEAD + b"Content-Length: 2\r\n\r\n{}"
NOTHING_YET = b""


class Wire:
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        self.written, self.closed, self.aborted, self.reading = b"", False, False, True

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return {"peername": ("10.0.0.7", 5000), "sockname": ("10.0.0.1", 9696)}[name]

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class SlowDoor:
    """Answers when it is told to."""

    max_body_bytes = LIMIT

    def __init__(self) -> None:
        self.taken: list[Request] = []

    def take(self, connection: Connection, request: Request) -> None:
        self.taken.append(request)


class Line:
    """A connection between a wire and a slow door."""

    def __init__(self) -> None:
        self.wire, self.door, self.open = Wire(), SlowDoor(), cast("set[Any]", set())
        config, state = SimpleNamespace(loaded_app=self.door), SimpleNamespace(connections=self.open)
        self.connection = Connection(cast("Any", config), cast("Any", state), {})
        self.connection.connection_made(self.wire)

    def receive(self, data: bytes) -> list[Request]:
        self.connection.data_received(data)
        return self.door.taken

    async def answer(self, body: bytes = b"answer") -> None:
        self.connection.send(body)
        await asyncio.sleep(0)

    def problem(self) -> dict[str, Any]:
        """What it said before it closed."""
        assert self.wire.closed
        head, _, body = self.wire.written.partition(b"\r\n\r\n")
        assert b"Content-Type: application/problem+json" in head and b"Connection: close" in head
        problem: dict[str, Any] = orjson.loads(body)
        assert head.startswith(b"HTTP/1.1 %d " % problem["status"])
        return problem


Case = Callable[[Line], Awaitable[None]]


def on_a_line(case: Case) -> Callable[[], None]:
    """A test of one connection, in a loop of its own."""

    def test() -> None:
        async def run() -> None:
            await case(Line())

        asyncio.run(run())

    test.__name__ = case.__name__
    return test


@on_a_line
async def test_a_request_reaches_the_door_once_it_is_whole_however_small_its_parts(line: Line) -> None:
    for i in range(len(WHOLE) - 1):
        assert line.receive(WHOLE[i : i + 1]) == []
    [request] = line.receive(WHOLE[-1:])
    assert (request.method, request.target, request.body, request.media) == (
        b"POST", b"/predict", b"{}", b"application/json",
    )  # fmt: skip
    assert (request.client, request.server, request.keep_alive) == ("10.0.0.7", ("10.0.0.1", 9696), True)
    assert request.headers[0] == (b"host", b"x")


@on_a_line
async def test_requests_that_came_together_are_taken_one_after_the_other(line: Line) -> None:
    targets = [b"/%d" % i for i in range(5)]
    line.receive(b"".join(WHOLE.replace(b"/predict", target) for target in targets))
    assert [r.target for r in line.door.taken] == [b"/0"]
    assert not line.wire.reading
    for i in range(5):
        assert [r.target for r in line.door.taken] == targets[: i + 1]
        await line.answer(b"<%d>" % i)
    assert line.wire.written == b"<0><1><2><3><4>"
    assert line.wire.reading


@on_a_line
async def test_a_chunked_body_is_put_together_and_what_follows_it_is_no_header(line: Line) -> None:
    chunks = b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\nContent-Type: text/csv\r\n\r\n"
    [request] = line.receive(HEAD + chunks)
    assert (request.body, request.media) == (b"{}", b"application/json")
    assert len(request.headers) == 3


@on_a_line
async def test_a_body_over_the_limit_is_read_to_its_end_and_handed_on_cut_short(line: Line) -> None:
    line.receive(HEAD + b"Content-Length: %d\r\n\r\n" % (5 * LIMIT))
    for _ in range(9):
        assert line.receive(b"x" * (LIMIT // 2)) == []
    [request] = line.receive(b"x" * (LIMIT // 2))
    assert len(request.body) == LIMIT + 1 and request.keep_alive
    await line.answer()
    assert not line.wire.closed


@on_a_line
async def test_a_body_without_end_is_cut_off(line: Line) -> None:
    line.receive(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    part = b"%x\r\n" % LIMIT + b"x" * LIMIT + b"\r\n"
    for _ in range(DRAINED):
        assert line.receive(part) == []
    [request] = line.receive(part)
    assert len(request.body) == LIMIT + 1 and not request.keep_alive
    assert len(line.receive(part + WHOLE)) == 1
    await line.answer()
    assert line.wire.closed


@on_a_line
async def test_who_asks_before_sending_is_told_to_go_on(line: Line) -> None:
    assert line.receive(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n") == []
    assert line.wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert len(line.receive(b"{}")) == 1


@on_a_line
async def test_who_asks_to_send_too_much_is_answered_at_once(line: Line) -> None:
    [request] = line.receive(HEAD + b"Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n")
    assert (b"content-length", b"5000") in request.headers and not request.keep_alive
    await line.answer()
    assert (line.wire.written, line.wire.closed) == (b"answer", True)


@pytest.mark.parametrize("noise", [
    b"\x16\x03\x01\x02\x00\x01\x00\x01", b"GET\r\n\r\n",
    b"GET / HTTP/1.1\r\nno header\r\n\r\n",
    HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", HEAD + b"Content-Length: -1\r\n\r\n",
    HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}"])  # fmt: skip
def test_what_is_not_http_is_told_so_and_closed(noise: bytes) -> None:
    async def case() -> None:
        line = Line()
        assert line.receive(noise) == []
        assert line.problem()["detail"] == "this is not an HTTP request"
        line.receive(WHOLE)
        assert line.door.taken == []

    asyncio.run(case())


@on_a_line
async def test_noise_behind_a_request_leaves_the_request_its_answer(line: Line) -> None:
    line.receive(WHOLE + b"\x00\x00")
    assert line.wire.written == NOTHING_YET
    await line.answer()
    assert (line.wire.written, line.wire.closed) == (b"answer", True)


@on_a_line
async def test_headers_without_end_are_cut_off(line: Line) -> None:
    line.receive(b"GET / HTTP/1.1\r\nA: ")
    for _ in range(MOST_HEAD // 1000 + 1):
        line.receive(b"a" * 1000)
    assert line.problem()["status"] == 431


@on_a_line
async def test_many_requests_in_one_piece_are_no_long_head(line: Line) -> None:
    line.receive(WHOLE * (2 * MOST_HEAD // len(WHOLE)) + WHOLE[:10])
    assert not line.wire.closed


@on_a_line
async def test_a_request_for_another_protocol_is_answered_in_this_one_and_so_is_the_next(line: Line) -> None:
    asking = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    for target in (b"/1", b"/2"):
        line.receive((HEAD + asking + b"Content-Length: 2\r\n\r\n{}").replace(b"/predict", target))
        await line.answer()
    line.receive((HEAD + asking + b"\r\n").replace(b"POST /predict", b"GET /3"))
    await line.answer()
    line.receive(WHOLE)
    assert [(r.target, bytes(r.body)) for r in line.door.taken] == [
        (b"/1", b"{}"), (b"/2", b"{}"), (b"/3", b""), (b"/predict", b"{}"),
    ]  # fmt: skip


@on_a_line
async def test_this_is_no_proxy(line: Line) -> None:
    assert line.receive(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n") == []
    assert line.problem()["status"] == 405


@pytest.mark.parametrize("request_", [WHOLE.replace(b"Host", b"Connection: close\r\nHost"),
                                      WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0")])  # fmt: skip
def test_who_wants_one_answer_gets_one(request_: bytes) -> None:
    async def case() -> None:
        line = Line()
        [request] = line.receive(request_)
        assert not request.keep_alive
        await line.answer()
        assert line.wire.closed

    asyncio.run(case())


@on_a_line
async def test_a_client_that_ends_half_way_is_told_so(line: Line) -> None:
    line.receive(WHOLE[:-1])
    assert line.connection.eof_received() is False
    assert line.problem()["detail"] == "the connection was closed before the request was complete"


@on_a_line
async def test_a_client_that_has_said_all_still_gets_its_answer(line: Line) -> None:
    line.receive(WHOLE + WHOLE)
    assert line.connection.eof_received() is True
    await line.answer(b"1")
    assert not line.wire.closed
    await line.answer(b"2")
    assert (line.wire.written, line.wire.closed) == (b"12", True)


@on_a_line
async def test_a_client_that_does_not_read_is_asked_for_no_more(line: Line) -> None:
    line.receive(WHOLE + WHOLE)
    line.connection.pause_writing()
    await line.answer()
    assert len(line.door.taken) == 1 and not line.wire.reading
    line.connection.resume_writing()
    await asyncio.sleep(0)
    assert len(line.door.taken) == 2 and line.wire.reading


@on_a_line
async def test_a_client_that_has_gone_is_told_nothing(line: Line) -> None:
    line.receive(WHOLE)
    line.wire.closed = True
    line.connection.connection_lost(None)
    await line.answer()
    assert line.wire.written == NOTHING_YET and line.open == set()
    line.connection.data_received(WHOLE)
    assert len(line.door.taken) == 1


@on_a_line
async def test_a_stop_closes_what_is_idle_and_lets_what_is_under_way_end(line: Line) -> None:
    idle, halfway, answering = Line(), Line(), line
    halfway.receive(WHOLE[:-1])
    answering.receive(WHOLE)
    for each in (idle, halfway, answering):
        each.connection.shutdown()
    assert [each.wire.closed for each in (idle, halfway, answering)] == [True, False, False]
    halfway.receive(WHOLE[-1:])
    for each in (halfway, answering):
        await each.answer()
        assert (each.wire.written, each.wire.closed) == (b"answer", True)


def looked(line: Line, seconds: float) -> None:
    """Let `seconds` go by, and have the connection look at its times."""
    line.connection._began -= seconds
    line.connection._heard -= seconds
    line.connection._check_times()


@on_a_line
async def test_a_request_that_does_not_arrive_is_given_up(line: Line) -> None:
    line.receive(WHOLE[:-1])
    looked(line, module.SECONDS_FOR_A_REQUEST - 1)
    assert not line.wire.closed
    looked(line, 2)
    assert line.problem()["status"] == 408


@on_a_line
async def test_a_stream_of_requests_is_no_request_that_does_not_arrive(line: Line) -> None:
    line.receive(WHOLE[:-1])
    for _ in range(3):
        looked(line, module.SECONDS_FOR_A_REQUEST - 1)
        line.receive(WHOLE[-1:] + WHOLE[:-1])
        await line.answer()
    assert (line.wire.written, line.wire.closed) == (b"answer" * 3, False)


@on_a_line
async def test_a_connection_that_is_quiet_is_closed_and_one_that_waits_for_its_answer_is_not(line: Line) -> None:
    waiting = Line()
    waiting.receive(WHOLE)
    for each in (line, waiting):
        looked(each, module.SECONDS_IDLE + 1)
    assert (line.wire.closed, waiting.wire.closed) == (True, False)
    looked(line, 0)
    assert line.wire.aborted
