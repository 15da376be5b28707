"""What answers which request: single records together, Flask in threads, /healthz without either."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY
from uvicorn.config import Config
from uvicorn.server import ServerState
from werkzeug.wrappers import Request as Asked
from werkzeug.wrappers import Response

from scorehouse.access import Access
from server.web.api.app import CALLER
from server.web.transport.connection import SHORT, Connection
from server.web.transport.dispatch import Dispatcher
from server.web.transport.microbatch import MicroBatcher

Records = list[dict[str, Any]]
SECRET = "s" * 32


class Wire:
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        self.written, self.closed = b"", False

    def get_extra_info(self, name: str) -> tuple[str, int] | None:
        return {"peername": ("10.0.0.7", 5000), "sockname": ("10.0.0.1", 9696)}.get(name)

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Client:
    """Sends one request on a connection of its own, and keeps the answer."""

    def __init__(self, door: Dispatcher, request: bytes) -> None:
        self._wire = Wire()
        config = Config(door, interface="asgi3", http=Connection, ws="none", lifespan="off",  # type: ignore[arg-type]
                        proxy_headers=False, log_config=None)  # fmt: skip
        config.load()
        self.connection = Connection(config, ServerState(), {})
        self.connection.connection_made(self._wire)  # type: ignore[arg-type]
        self.connection.data_received(request)

    @property
    def answer(self) -> bytes:
        return self._wire.written

    async def answered(self) -> Client:
        for _ in range(500):
            if self.answer:
                return self
            await asyncio.sleep(0.01)
        raise AssertionError("no answer")

    @property
    def status(self) -> int:
        return int(self.answer.split(b" ")[1])

    @property
    def json(self) -> Any:
        head, _, body = self.answer.partition(b"\r\n\r\n")
        assert b"content-length: %d" % len(body) in head
        return orjson.loads(body)


def request(value: Any, target: str = "/predict", media: str = "application/json", **headers: str) -> bytes:
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    fields = {"Host": "127.0.0.1", "Content-Type": media, "Content-Length": str(len(body)), **headers}
    lines = [f"POST {target} HTTP/1.1", *(f"{name.replace('_', '-')}: {text}" for name, text in fields.items() if text)]
    return "\r\n".join([*lines, "", ""]).encode() + body


@Asked.application
def told(asked: Asked) -> Response:
    """The application behind the door: it says what it was asked, by which thread and for whom."""
    if asked.path == "/fault":
        raise ZeroDivisionError("secret")
    said = [asked.path, len(asked.get_data()), threading.get_ident(), asked.environ[CALLER]]
    return Response(orjson.dumps(said), 207)


def ask(door: Dispatcher, *requests: bytes) -> list[Client]:
    """Have the door take all requests in one turn of the loop; return who asked, answered."""

    async def run() -> list[Client]:
        clients = [Client(door, each) for each in requests]
        return [await client.answered() for client in clients]

    return asyncio.run(run())


def counted() -> list[float]:
    route, model = {"route": "/predict"}, {"use_case": "churn", "door": "http"}
    return [
        REGISTRY.get_sample_value(name, labels) or 0.0
        for name, labels in (
            ("scorehouse_predictions_total", model),
            ("scorehouse_rejected_records_total", model),
            ("scorehouse_http_requests_total", {**route, "status": "200"}),
            ("scorehouse_http_request_seconds_count", route),
        )
    ]


@pytest.fixture
def house(door: Any) -> Dispatcher:
    return Dispatcher(told, MicroBatcher(door.serving), Access("", frozenset()), 2**20, 1)


def test_single_records_that_are_there_together_are_scored_together(
    house: Dispatcher, door: Any, toy_records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    lots, score = [], door.serving.model.scorer.score
    monkeypatch.setattr(
        type(door.serving.model.scorer), "score", lambda _, records: lots.append(len(records)) or score(records)
    )
    before = counted()
    callers = ask(house, *(request({**r, "prediction_id": f"p{i}"}) for i, r in enumerate(toy_records[:20])))
    assert lots == [20]
    assert [(c.status, c.json["prediction_id"]) for c in callers] == [(200, f"p{i}") for i in range(20)]
    assert [(p["prediction_id"], p["prediction"]) for p in door.journalled()] == [
        (c.json["prediction_id"], c.json["churn chance"]) for c in callers
    ]
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [20, 0, 20, 20]


def test_what_is_no_good_record_is_left_to_the_application_and_costs_the_others_nothing(
    house: Dispatcher, door: Any, toy_records: Records
) -> None:
    good, bad = toy_records[0], {**toy_records[1], "gender": "X"}
    bodies = [good, bad, toy_records[:3], b"{", b"7", b"null", b"", b'{"a":1,"a":1}', good]
    before = counted()
    callers = ask(house, *map(request, bodies))
    assert [c.status for c in callers] == [200, *[207] * 7, 200]
    assert callers[3].json[:2] == ["/predict", 1]
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [2, 0, 2, 2]
    assert len(door.journalled()) == 2


@pytest.mark.parametrize("broken", ["model", "journal", "scorer"])
def test_while_nothing_can_be_scored_or_written_the_application_says_why(
    house: Dispatcher, door: Any, toy_records: Records, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if broken == "model":
        door.serving.model = None
    elif broken == "journal":
        door.settings.journal_folder.parent.mkdir(exist_ok=True)
        door.settings.journal_folder.write_text("no folder")
    else:
        monkeypatch.setattr(door.serving, "_now", lambda: 1 / 0)
    callers = ask(house, *map(request, toy_records[:3]))
    assert [c.status for c in callers] == [207] * 3


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "Application/JSON"])
def test_every_usual_spelling_of_json_is_scored(house: Dispatcher, toy_records: Records, media: str) -> None:
    assert ask(house, request(toy_records[0], media=media))[0].status == 200


@pytest.mark.parametrize("media", ["", "text/csv", "application/jsonp"])
def test_another_media_type_is_left_to_the_application(house: Dispatcher, toy_records: Records, media: str) -> None:
    assert ask(house, request(toy_records[0], media=media))[0].status == 207


def test_the_application_runs_in_a_thread_and_the_others_do_not_wait_for_it(door: Any, toy_records: Records) -> None:
    going_on = threading.Event()

    @Asked.application
    def slow(asked: Asked) -> Response:
        assert going_on.wait(10)
        return Response(str(threading.get_ident()), 207)

    house = Dispatcher(slow, MicroBatcher(door.serving), Access("", frozenset()), 2**20, 1)

    async def run() -> None:
        page = Client(house, b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n")
        long = Client(house, request(b"x" * (SHORT + 1)))
        invalid = Client(house, request({}))
        alive = await Client(house, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").answered()
        single = await Client(house, request(toy_records[0])).answered()
        assert (alive.status, alive.json, single.status) == (200, {"status": "alive"}, 200)
        assert not page.answer and not long.answer and not invalid.answer
        going_on.set()
        for each in (page, long, invalid):
            assert (await each.answered()).status == 207 and each.json != threading.get_ident()

    asyncio.run(run())


def test_what_a_client_sent_that_has_gone_is_not_worked_on(door: Any) -> None:
    worked: list[str] = []
    going_on = threading.Event()

    @Asked.application
    def slow(asked: Asked) -> Response:
        worked.append(asked.path)
        assert going_on.wait(10)
        return Response("")

    house = Dispatcher(slow, MicroBatcher(door.serving), Access("", frozenset()), 2**20, 1)

    async def run() -> None:
        first, gone, last = (Client(house, request(b"x" * (SHORT + 1), f"/{i}")) for i in range(3))
        await asyncio.sleep(0.05)
        gone.connection.connection_lost(None)
        going_on.set()
        await first.answered()
        await last.answered()
        for _ in range(500):
            if house.held == 0:
                break
            await asyncio.sleep(0.01)

    asyncio.run(run())
    assert (worked, house.held) == (["/0", "/2"], 0)


@pytest.mark.parametrize("size", [2, SHORT + 1])
def test_a_fault_of_the_application_is_a_problem_without_its_innards(house: Dispatcher, size: int) -> None:
    [client] = ask(house, request(b"x" * size, "/fault"))
    assert client.status == 500 and b"secret" not in client.answer
    assert client.json["title"] == "Internal Server Error"


@pytest.fixture
def closed(door: Any) -> Dispatcher:
    return Dispatcher(told, MicroBatcher(door.serving), Access(SECRET, frozenset()), 2**20, 1)


def test_without_the_secret_only_healthz_is_answered(closed: Dispatcher, door: Any, toy_records: Records) -> None:
    get = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
    refused = [request(toy_records[0]), request(b"x" * (SHORT + 1)), request({}, "/outcomes"), get % b"/readyz"]
    wrong = request(toy_records[0], Authorization="Bearer x")
    posted = request({}, "/healthz")
    assert [c.status for c in ask(closed, *refused, wrong, posted, get % b"/healthz")] == [401] * 6 + [200]
    assert door.journalled() == [] and closed.held == 0


def test_with_the_secret_the_gateway_says_who_asks(closed: Dispatcher, door: Any, toy_records: Records) -> None:
    trusted = {"Authorization": f"Bearer {SECRET}", "X_Caller": "shop-7"}
    single, other = ask(closed, request(toy_records[0], **trusted), request({}, "/outcomes", **trusted))
    assert (single.status, other.status, other.json[3]) == (200, 207, "shop-7")
    assert [line["caller"] for line in door.journalled()] == ["shop-7"]
    labels = {"use_case": "churn", "door": "http", "caller": "shop-7"}
    assert REGISTRY.get_sample_value("scorehouse_caller_predictions_total", labels) == 1


def test_without_a_secret_nobody_says_who_asks(house: Dispatcher, door: Any, toy_records: Records) -> None:
    [client] = ask(house, request(toy_records[0], X_Caller="shop-7"))
    assert client.status == 200
    assert "caller" not in door.journalled()[0]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421), ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:9696"}, 200), ({"Host": "localhost:9696"}, 200),
    ],
)  # fmt: skip
def test_a_page_of_another_site_is_refused(
    house: Dispatcher, toy_records: Records, headers: dict[str, str], status: int
) -> None:
    assert [c.status for c in ask(house, request(toy_records[0], **headers))] == [status]


SHOP = "https://shop.example.com"
PREFLIGHT = b"OPTIONS %b HTTP/1.1\r\nHost: x\r\nOrigin: %b\r\nAccess-Control-Request-Method: POST\r\n\r\n"


@pytest.mark.parametrize("secret", ["", SECRET])
def test_a_page_of_a_site_in_cors_origins_asks_and_reads(door: Any, toy_records: Records, secret: str) -> None:
    access = Access(secret, frozenset(), frozenset({SHOP}))
    house = Dispatcher(told, MicroBatcher(door.serving), access, 2**20, 1)
    trusted = {"Authorization": f"Bearer {secret}"} if secret else {}
    single, page, stranger, asked, asked_by_stranger = ask(
        house,
        request(toy_records[0], Origin=SHOP, **trusted),
        request({}, "/outcomes", Origin=SHOP, **trusted),
        request(toy_records[0], Origin="https://evil.example", **trusted),
        PREFLIGHT % (b"/predict", SHOP.encode()),
        PREFLIGHT % (b"/predict", b"https://evil.example"),
    )
    assert [single.status, page.status, stranger.status, asked.status] == [200, 207, 403, 204]
    for client in (single, page, asked):
        head = client.answer.partition(b"\r\n\r\n")[0]
        assert head.count(b"access-control-allow-origin: https://shop.example.com\r\n") == 1
        assert b"vary: Origin" in head
    assert b"content-length" not in asked.answer and b"X-API-Key" in asked.answer
    assert asked_by_stranger.status == (401 if secret else 207)
    assert b"access-control" not in stranger.answer + asked_by_stranger.answer


def test_the_next_request_of_a_connection_may_be_of_another_site(door: Any, toy_records: Records) -> None:
    house = Dispatcher(told, MicroBatcher(door.serving), Access("", frozenset(), frozenset({SHOP})), 2**20, 1)

    async def run() -> list[bool]:
        client = await Client(house, request(toy_records[0])).answered()
        shared = []
        for headers in ({}, {"Origin": SHOP}, {"Origin": SHOP, "Host": "evil.example"}, {}, {"Origin": SHOP}, {}):
            before = client.answer
            client.connection.data_received(request(toy_records[0], **headers))
            for _ in range(500):
                if client.answer != before:
                    break
                await asyncio.sleep(0.01)
            shared.append(b"access-control" in client.answer[len(before) :])
        return shared

    assert asyncio.run(run()) == [False, True, True, False, True, False]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Accept": "application/json, text/plain, */*"}, 200), ({"Accept": "application/json"}, 200),
        ({"Accept": "application/x-ndjson;q=0.5, application/json"}, 200), ({"Accept": "text/html, */*;q=0.1"}, 200),
        ({"Accept": "application/x-ndjson, application/json;q=0.5"}, 207), ({"Accept": "application/json;q=0"}, 207),
        ({"Accept": "text/csv"}, 207), ({"Accept": "application/x-ndjson"}, 207),
        ({"Content_Encoding": "gzip"}, 207), ({"Content_Encoding": "identity"}, 207),
        ({"Content_Type": "application/json;charset=UTF-8"}, 200),
        ({"Content_Type": "application/json; charset=latin1"}, 207), ({"Content_Type": "application/jsonlines"}, 207),
    ],
)  # fmt: skip
def test_only_plain_json_that_json_may_answer_is_scored_in_a_micro_batch(
    house: Dispatcher, toy_records: Records, headers: dict[str, str], status: int
) -> None:
    media = headers.get("Content_Type", "application/json")
    more = {name: text for name, text in headers.items() if name != "Content_Type"}
    assert ask(house, request(toy_records[0], media=media, **more))[0].status == status


def test_each_request_of_a_connection_is_looked_at(house: Dispatcher, toy_records: Records) -> None:
    async def run() -> None:
        client = await Client(house, request(toy_records[0])).answered()
        client.connection.data_received(request(toy_records[0], Host="evil.example"))
        for _ in range(500):
            if b"HTTP/1.1 421 " in client.answer:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(client.answer)

    asyncio.run(run())
