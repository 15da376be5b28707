"""Who answers which request: single records together, long bodies beside, the rest at once."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY
from werkzeug.wrappers import Request as Asked
from werkzeug.wrappers import Response

from server.web.transport.dispatch import LONG, Dispatcher
from server.web.transport.microbatch import MicroBatcher
from server.web.transport.wsgi import Request

Records = list[dict[str, Any]]


class Caller:
    """A connection that keeps its answer."""

    answer = b""

    def send(self, response: bytes) -> None:
        assert not self.answer
        self.answer = response

    @property
    def status(self) -> int:
        return int(self.answer.split(b" ")[1])

    @property
    def json(self) -> Any:
        head, _, body = self.answer.partition(b"\r\n\r\n")
        assert b"Content-Length: %d" % len(body) in head
        return orjson.loads(body)


def request(value: Any, target: bytes = b"/predict", media: bytes = b"application/json") -> Request:
    made = Request("10.0.0.7", ("10.0.0.1", 9696))
    made.method, made.target, made.media = b"POST", target, media
    made.body = value if isinstance(value, bytes) else orjson.dumps(value)
    made.headers = [(b"content-type", media), (b"content-length", b"%d" % len(made.body))]
    return made


@Asked.application
def told(asked: Asked) -> Response:
    """What stands behind the door: it says what it was asked, and by which thread."""
    if asked.path == "/fault":
        raise ZeroDivisionError("secret")
    return Response(f'["{asked.path}", {len(asked.get_data())}, {threading.get_ident()}]', 207)


def ask(door: Dispatcher, *requests: Request, turns: int = 4) -> list[Caller]:
    """Have the door take all requests in one turn of the loop; return who asked."""

    async def run() -> list[Caller]:
        callers = [Caller() for _ in requests]
        for caller, each in zip(callers, requests, strict=True):
            door.take(caller, each)  # type: ignore[arg-type]
        for _ in range(turns):
            await asyncio.sleep(0)
        return callers

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
    return Dispatcher(told, MicroBatcher(door.serving), 2**20, 1)


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


@pytest.mark.parametrize("media", [b"application/json; charset=utf-8", b"Application/JSON"])
def test_every_usual_spelling_of_json_is_scored(house: Dispatcher, toy_records: Records, media: bytes) -> None:
    assert ask(house, request(toy_records[0], media=media))[0].status == 200


@pytest.mark.parametrize("media", [b"", b"text/csv", b"application/jsonp"])
def test_another_media_type_is_left_to_the_application(house: Dispatcher, toy_records: Records, media: bytes) -> None:
    assert ask(house, request(toy_records[0], media=media))[0].status == 207


def test_a_long_body_is_answered_by_a_thread_and_the_others_do_not_wait_for_it(
    house: Dispatcher, toy_records: Records
) -> None:
    async def run() -> None:
        long, short, single = Caller(), Caller(), Caller()
        house.take(long, request(b"x" * (LONG + 1), b"/long"))  # type: ignore[arg-type]
        house.take(short, request(b"x" * LONG, b"/short"))  # type: ignore[arg-type]
        house.take(single, request(toy_records[0]))  # type: ignore[arg-type]
        assert short.json == ["/short", LONG, threading.get_ident()]
        for _ in range(500):
            if long.answer:
                break
            await asyncio.sleep(0.01)
        assert single.status == 200
        assert long.json[:2] == ["/long", LONG + 1] and long.json[2] != threading.get_ident()

    asyncio.run(run())


@pytest.mark.parametrize("size", [2, LONG + 1])
def test_a_fault_of_the_application_is_a_problem_without_its_innards(house: Dispatcher, size: int) -> None:
    async def run() -> Caller:
        caller = Caller()
        house.take(caller, request(b"x" * size, b"/fault"))  # type: ignore[arg-type]
        for _ in range(500):
            if caller.answer:
                break
            await asyncio.sleep(0.01)
        return caller

    caller = asyncio.run(run())
    assert caller.status == 500 and b"secret" not in caller.answer
    assert caller.json["title"] == "Internal Server Error"


@pytest.mark.parametrize("target", [b"nowhere", b"http:///", b"//"])
def test_a_target_that_is_no_url_is_a_problem(house: Dispatcher, target: bytes) -> None:
    assert ask(house, request(b"{}", target))[0].status in {400, 207}
