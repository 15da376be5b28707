"""One connection, byte by byte: requests come whole, answers leave in order, and nothing is waited for without end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import orjson
import pytest
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from server.web.transport import connection as module
from server.web.transport.connection import DRAINED, MOST_CONNECTIONS, MOST_WAITING, SHORT, Connection
from server.web.transport.heads import MOST_HEAD, MOST_HEADERS

LIMIT = 1000
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
WHOLE = HEAD + b"Content-Length: 2\r\n\r\n{}"
START = b"HTTP/1.1 200 OK\r\n"
NOTHING_YET = b""


class Wire:
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        self.written, self.closed, self.aborted, self.reading = b"", False, False, True

    def get_extra_info(self, name: str) -> tuple[str, int] | None:
        return {"peername": ("10.0.0.7", 5000), "sockname": ("10.0.0.1", 9696)}.get(name)

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class SlowDoor:
    """Answers when it is told to."""

    def __init__(self, most: int = LIMIT) -> None:
        self.taken: list[RequestResponseCycle] = []
        self.max_body_bytes = most
        self.most_held = 4 * most
        self.held = 0

    def take(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        self.taken.append(cycle)


class Line:
    """A connection between a wire and a slow door."""

    def __init__(self, door: SlowDoor | None = None, state: ServerState | None = None) -> None:
        self.wire, self.door, self.state = Wire(), door or SlowDoor(), state or ServerState()
        config = Config(cast("Any", self.door), interface="asgi3", http=Connection, ws="none", lifespan="off",
                        proxy_headers=False, log_config=None)  # fmt: skip
        config.load()
        self.connection = Connection(config, self.state, {})
        self.connection.connection_made(cast("Any", self.wire))

    def receive(self, data: bytes) -> list[RequestResponseCycle]:
        self.connection.data_received(data)
        return self.door.taken

    async def answer(self, body: bytes = b"answer") -> None:
        self.connection.release(self.door.taken[-1])
        self.connection.send(self.door.taken[-1], START, body)
        await asyncio.sleep(0)

    @property
    def said(self) -> list[bytes]:
        """The bodies of its answers."""
        return [part.partition(b"\r\n\r\n")[2] for part in self.wire.written.split(b"HTTP/1.1 200 OK")[1:]]

    @property
    def targets(self) -> list[bytes]:
        return [cycle.scope["raw_path"] for cycle in self.door.taken]

    def problem(self) -> dict[str, Any]:
        """What it said before it closed."""
        assert self.wire.closed
        head, _, body = self.wire.written.rpartition(b"\r\n\r\n")
        head = b"HTTP/1.1 " + head.rpartition(b"HTTP/1.1 ")[2]
        assert b"content-type: application/problem+json" in head and b"connection: close" in head
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
    scope = request.scope
    assert (scope["method"], scope["path"], request.body, request.keep_alive) == ("POST", "/predict", b"{}", True)
    assert (scope["client"], scope["server"]) == (("10.0.0.7", 5000), ("10.0.0.1", 9696))
    assert list(scope["headers"])[:2] == [(b"host", b"x"), (b"content-type", b"application/json")]


@on_a_line
async def test_requests_that_came_together_are_taken_one_after_the_other(line: Line) -> None:
    targets = [b"/%d" % i for i in range(5)]
    line.receive(b"".join(WHOLE.replace(b"/predict", target) for target in targets))
    assert line.targets == [b"/0"]
    assert not line.wire.reading
    for i in range(5):
        assert line.targets == targets[: i + 1]
        assert line.wire.reading == (i == 4)
        await line.answer(b"<%d>" % i)
    assert line.said == [b"<0>", b"<1>", b"<2>", b"<3>", b"<4>"]
    assert line.wire.reading


@on_a_line
async def test_a_chunked_body_is_put_together_and_what_follows_it_is_no_header(line: Line) -> None:
    chunks = b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\nContent-Type: text/csv\r\n\r\n"
    [request] = line.receive(HEAD + chunks)
    assert request.body == b"{}"
    assert len(list(request.scope["headers"])) == 3


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
    for times in range(1, 3):  # the second head is known
        assert len(line.receive(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")) == times - 1
        assert line.wire.written.endswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert len(line.receive(b"{}")) == times
        await line.answer()
    line.receive(WHOLE)
    assert line.wire.written.count(b"100 Continue") == 2


@on_a_line
async def test_who_asks_to_send_too_much_is_answered_at_once(line: Line) -> None:
    [request] = line.receive(HEAD + b"Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n")
    assert (b"content-length", b"5000") in request.scope["headers"] and not request.keep_alive
    await line.answer()
    assert (line.said, line.wire.closed) == ([b"answer"], True)
    assert b"100 Continue" not in line.wire.written


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
    assert line.said[0].startswith(b"answer") and line.problem()["status"] == 400


@on_a_line
async def test_headers_without_end_are_cut_off(line: Line) -> None:
    line.receive(b"GET / HTTP/1.1\r\nA: ")
    for _ in range(MOST_HEAD // 1000 + 1):
        line.receive(b"a" * 1000)
    assert line.problem()["status"] == 431


@on_a_line
async def test_a_request_for_another_protocol_is_answered_in_this_one_and_so_is_the_next(line: Line) -> None:
    asking = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    bodies = []
    for target in (b"/1", b"/2"):
        line.receive((HEAD + asking + b"Content-Length: 2\r\n\r\n{}").replace(b"/predict", target))
        bodies.append(line.door.taken[-1].body)
        await line.answer()
    line.receive((HEAD + asking + b"\r\n").replace(b"POST /predict", b"GET /3"))
    bodies.append(line.door.taken[-1].body)
    await line.answer()
    line.receive(WHOLE)
    bodies.append(line.door.taken[-1].body)
    assert [(path, bytes(body)) for path, body in zip(line.targets, bodies, strict=True)] == [
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
    assert (line.said, line.wire.closed) == ([b"1", b"2"], True)


@on_a_line
async def test_a_client_that_does_not_read_is_asked_for_no_more(line: Line) -> None:
    line.receive(WHOLE + WHOLE)
    line.connection.pause_writing()
    await line.answer()
    assert len(line.door.taken) == 1
    line.receive(WHOLE)
    assert len(line.door.taken) == 1 and not line.wire.reading
    line.connection.resume_writing()
    assert len(line.door.taken) == 2
    await line.answer()
    assert len(line.door.taken) == 3


@on_a_line
async def test_a_client_that_has_gone_is_told_nothing(line: Line) -> None:
    line.receive(WHOLE)
    line.wire.closed = True
    line.connection.connection_lost(None)
    await line.answer()
    assert line.wire.written == NOTHING_YET and line.state.connections == set()
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
        assert (each.said, each.wire.closed) == ([b"answer"], True)


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
    assert (line.said, line.wire.closed) == ([b"answer"] * 3, False)


@on_a_line
async def test_a_connection_that_is_quiet_is_closed_and_one_that_waits_for_its_answer_is_not(line: Line) -> None:
    waiting = Line()
    waiting.receive(WHOLE)
    for each in (line, waiting):
        looked(each, module.SECONDS_IDLE + 1)
    assert (line.wire.closed, waiting.wire.closed) == (True, False)
    looked(line, 0)
    assert line.wire.aborted


# --- what one client may cost -----------------------------------------------------------------------------------
@on_a_line
async def test_trailers_without_end_are_cut_off(line: Line) -> None:
    line.receive(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: ")
    for _ in range(MOST_HEAD // 1000 + 1):
        line.receive(b"a" * 1000)
    assert line.problem()["status"] == 431 and line.door.taken == []


@on_a_line
async def test_an_extension_of_a_chunk_without_end_is_cut_off(line: Line) -> None:
    line.receive(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;x=")
    for _ in range(MOST_HEAD // 1000 + 1):
        line.receive(b"a" * 1000)
    assert line.problem()["status"] == 431


@pytest.mark.parametrize("headers", [b"A: b\r\n" * (MOST_HEADERS + 1), b"A: " + b"b" * MOST_HEAD + b"\r\n"])
def test_a_head_that_came_in_one_piece_is_no_longer_than_others(headers: bytes) -> None:
    async def case() -> None:
        line = Line()
        assert line.receive(b"GET / HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n") == []
        assert line.problem()["status"] == 431

    asyncio.run(case())


@on_a_line
async def test_a_long_body_in_one_piece_is_no_long_head(line: Line) -> None:
    line = Line(SlowDoor(4 * MOST_HEAD))
    size = 2 * MOST_HEAD
    assert len(line.receive(HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)) == 1


@on_a_line
async def test_of_thousands_of_requests_in_one_piece_a_few_are_kept_and_answered(line: Line) -> None:
    line.receive(WHOLE * 2000)
    assert len(line.connection.pipeline) == MOST_WAITING and not line.wire.reading
    for i in range(MOST_WAITING + 1):
        assert len(line.door.taken) == i + 1
        assert not line.wire.closed
        await line.answer()
    assert (line.said, line.wire.closed) == ([b"answer"] * (MOST_WAITING + 1), True)
    assert line.wire.written.count(b"connection: close") == 1


@on_a_line
async def test_long_bodies_of_all_connections_together_are_bounded_and_short_ones_pass(line: Line) -> None:
    door = SlowDoor(4 * SHORT)
    half = HEAD + b"Content-Length: %d\r\n\r\n" % (3 * SHORT) + b"x" * (2 * SHORT)
    holders = [Line(door) for _ in range(8)]  # 8 times 2 * SHORT is all that the door holds
    for holder in holders:
        holder.receive(half)
    assert door.held == door.most_held
    late, short = Line(door), Line(door)
    late.receive(half)
    assert late.problem()["status"] == 503 and b"retry-after: 2" in late.wire.written
    assert len(short.receive(WHOLE)) == 1
    late.connection.connection_lost(None)
    holders[0].connection.connection_lost(None)
    assert door.held == door.most_held - 2 * SHORT
    holders[1].receive(b"x" * SHORT)
    await holders[1].answer()
    assert door.held == door.most_held - 4 * SHORT


@on_a_line
async def test_a_body_that_nobody_answers_is_freed_at_once(line: Line) -> None:
    """Connections refer to themselves. Until Python freed them, 950 half bodies of 1 MB took 300 MB, and 500 later."""
    door = SlowDoor(4 * SHORT)
    half = HEAD + b"Content-Length: %d\r\n\r\n" % (3 * SHORT) + b"x" * (2 * SHORT)
    lines = [Line(door) for _ in range(9)]
    for one in lines:
        one.receive(half)
    late = lines[-1]
    assert late.problem()["status"] == 503
    assert (late.connection.cycle.body, door.held) == (b"", door.most_held)
    lines[0].connection.connection_lost(None)
    assert (lines[0].connection.cycle.body, door.held) == (b"", door.most_held - 2 * SHORT)


@on_a_line
async def test_a_body_that_the_door_has_is_held_until_its_answer_is_made(line: Line) -> None:
    line = Line(SlowDoor(4 * SHORT))
    [request] = line.receive(HEAD + b"Content-Length: %d\r\n\r\n" % (2 * SHORT) + b"x" * (2 * SHORT))
    line.wire.closed = True
    line.connection.connection_lost(None)
    assert (line.door.held, request.disconnected) == (2 * SHORT, True)
    line.connection.release(request)
    assert line.door.held == 0


@on_a_line
async def test_a_connection_too_many_is_told_so_and_the_others_are_not(line: Line) -> None:
    line.state.connections.update(cast("Any", range(MOST_CONNECTIONS - 1)))
    late = Line(line.door, line.state)
    assert len(line.receive(WHOLE)) == 1
    late.receive(WHOLE)
    assert late.problem()["status"] == 503 and len(line.door.taken) == 1
    line.state.connections.update(cast("Any", range(2 * MOST_CONNECTIONS)))
    assert Line(line.door, line.state).wire.aborted


@on_a_line
async def test_a_client_that_reads_no_answer_is_cut_off(line: Line) -> None:
    line.receive(WHOLE + WHOLE)
    line.connection.pause_writing()
    await line.answer()
    looked(line, module.SECONDS_IDLE + 1)
    assert line.wire.aborted


# --- RFC 9112 -----------------------------------------------------------------------------------------------------
BAD = [
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
    (b"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: u@x/y\r\n\r\n", 400),
    (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    (HEAD + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    (HEAD.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (HEAD + b"Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}", 417),
    (b"GET nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 400),
]
SMUGGLED = [
    HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    HEAD + b"Content-Length: 2, 2\r\n\r\n{}",
    HEAD + b"Transfer-Encoding: identity\r\n\r\n",
    HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    HEAD.replace(b"\r\n", b"\n") + b"\n",
    HEAD + b"X: a\r\n folded\r\n\r\n",
    HEAD + b"Content-Length: +3\r\n\r\n{ }",
    HEAD + b"Content-Length: \r\n\r\n",
    HEAD + b"Content-Length : 2\r\n\r\n{}",
    HEAD + b"Content-Length: 1 2\r\n\r\n{}",
    HEAD + b"X: a\0b\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n",
]


@pytest.mark.parametrize(("request_", "status"), [*BAD, *((smuggled, 0) for smuggled in SMUGGLED)])
def test_a_request_that_is_not_as_it_must_be_is_refused_and_the_connection_closed(request_: bytes, status: int) -> None:
    async def case() -> None:
        line = Line()
        assert line.receive(request_) == []
        assert line.problem()["status"] in ((status,) if status else (400, 501))
        assert line.receive(WHOLE) == []

    asyncio.run(case())


@on_a_line
async def test_a_request_behind_another_is_refused_in_its_turn(line: Line) -> None:
    line.receive(WHOLE + WHOLE + b"GET / HTTP/1.1\r\n\r\n" + WHOLE)
    assert not line.wire.written
    await line.answer()
    assert not line.wire.closed
    await line.answer()
    assert line.wire.written.count(b"HTTP/1.1 200 OK") == 2
    assert (line.problem()["status"], len(line.door.taken)) == (400, 2)


@on_a_line
async def test_who_asks_behind_another_is_told_to_go_on_in_its_turn_and_once(line: Line) -> None:
    line.receive(WHOLE + HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert line.wire.written == NOTHING_YET
    await line.answer()
    assert line.wire.written.endswith(b"answerHTTP/1.1 100 Continue\r\n\r\n")
    assert len(line.receive(b"{}")) == 2
    await line.answer()
    assert line.wire.written.count(b"100 Continue") == 1


@on_a_line
async def test_who_asks_for_another_protocol_as_well_is_told_to_go_on_once(line: Line) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    line.receive(HEAD + upgrade)
    assert line.wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert len(line.receive(b"{}")) == 1


@on_a_line
async def test_http_1_0_is_never_told_to_go_on(line: Line) -> None:
    line.receive(HEAD.replace(b"1.1", b"1.0") + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert line.wire.written == NOTHING_YET
    assert len(line.receive(b"{}")) == 1


@on_a_line
async def test_who_asks_for_another_protocol_and_one_answer_gets_one(line: Line) -> None:
    line.receive(HEAD + b"Connection: close, Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}" + WHOLE)
    await line.answer()
    assert (line.said, line.wire.closed) == ([b"answer"], True)


@pytest.mark.parametrize("target", [b"http://h:1/predict?x", b"http://h:1", b"http://h:1?x"])
def test_an_absolute_target_is_its_path(target: bytes) -> None:
    async def case() -> None:
        line = Line()
        [request] = line.receive(b"GET %b HTTP/1.1\r\nHost: h:1\r\n\r\n" % target)
        assert request.scope["path"] == ("/predict" if b"predict" in target else "/")
        assert request.scope["query_string"] == (b"x" if b"x" in target else b"")

    asyncio.run(case())


def test_http_1_0_needs_no_host() -> None:
    async def case() -> None:
        assert len(Line().receive(b"GET / HTTP/1.0\r\n\r\n")) == 1

    asyncio.run(case())
