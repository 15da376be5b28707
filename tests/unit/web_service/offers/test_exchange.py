"""Nothing that was asked is lost, whatever is down, and each answer finds the one who asked."""

from __future__ import annotations

from base64 import b64encode

import orjson
from botocore.exceptions import EndpointConnectionError

from tests.unit.web_service.conftest import NEW, NOON, STREAMS, Pages
from web_service.offers.exchange import AGAIN_SECONDS, IDLE, LATER, SOON, Exchange

DOWN = EndpointConnectionError(endpoint_url="http://stream")


def test_what_is_asked_while_the_stream_is_down_is_sent_when_it_is_back(pages: Pages) -> None:
    pages.kinesis.down = DOWN
    where = pages.send("/newc", NEW).location
    waits = [pages.exchange.try_step() for _ in range(5)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 5.0]
    assert pages.exchange.problem
    pages.time.now += 20
    assert "Nothing is lost" in pages.browser.get(where).text
    pages.kinesis.down = None
    assert pages.exchange.try_step() == SOON
    pages.kinesis.answer(312.4)
    pages.exchange.try_step()
    assert "312.40" in pages.browser.get(where).text
    assert pages.exchange.problem is None


def test_an_entry_that_is_throttled_is_sent_again_and_the_others_are_not(pages: Pages) -> None:
    for _ in range(3):
        pages.send("/newc", NEW)
    pages.kinesis.throttle = 1
    pages.exchange.step()
    assert len(pages.kinesis.records["in"]) == 2
    pages.exchange.step()
    pages.exchange.step()
    ids = [orjson.loads(data)["prediction_id"] for data in pages.kinesis.records["in"]]
    assert len(ids) == len(set(ids)) == 3


def test_a_process_that_was_killed_after_it_sent_finds_the_answer_when_it_is_back(pages: Pages) -> None:
    where = pages.send("/newc", NEW).location
    pages.exchange.step()
    pages.kinesis.answer(312.4)
    back = Exchange(pages.store, pages.kinesis, STREAMS, "premium", 60.0, pages.time.clock, lambda: 0.0)
    back.step()
    assert len(pages.kinesis.records["in"]) == 1
    assert "312.40" in pages.browser.get(where).text


def test_a_record_that_nobody_can_score_is_told_kindly_and_only_to_its_owner(pages: Pages) -> None:
    where = pages.send("/newc", NEW).location
    pages.exchange.step()
    (sent,) = pages.kinesis.records["in"]
    told = {"reason": "Power: is not allowed", "data": b64encode(sent).decode()}
    pages.kinesis.records["out-errors"].append(orjson.dumps(told))
    pages.exchange.step()
    html = pages.browser.get(where).text
    assert "We cannot price this by ourselves" in html
    assert "is not allowed" not in html


def test_answers_of_others_and_lines_that_are_none_stop_nobody(pages: Pages) -> None:
    where = pages.send("/newc", NEW).location
    pages.exchange.step()
    others = [
        b"{",
        b'{"premium": 1, "prediction_id": "sim-1-1"}',
        b'{"premium": 1, "prediction_id": "web-%s"}' % (b"0" * 32),
    ]
    pages.kinesis.records["out"] += others
    pages.kinesis.records["out-errors"] += [b"no json", b'{"reason": "?"}']
    pages.kinesis.answer(312.4)
    assert pages.exchange.try_step() == SOON
    assert "312.40" in pages.browser.get(where).text


def test_the_first_answer_stands_and_a_replay_changes_nothing(pages: Pages) -> None:
    where = pages.send("/newc", NEW).location
    pages.exchange.step()
    pages.kinesis.answer(312.4)
    pages.exchange.step()
    pages.kinesis.answer(999.0)
    pages.send("/newc", NEW)  # so that it reads on
    pages.exchange.step()
    assert "312.40" in pages.browser.get(where).text


def test_it_looks_often_while_somebody_waits_seldom_when_late_and_rests_when_nobody_does(pages: Pages) -> None:
    assert pages.exchange.step() == IDLE
    pages.send("/newc", NEW)
    assert pages.exchange.step() == SOON
    pages.time.now += 31
    assert pages.exchange.step() == LATER


def test_a_record_is_sent_again_before_the_stream_forgets_it(pages: Pages) -> None:
    pages.send("/newc", NEW)
    pages.exchange.step()
    pages.time.now += AGAIN_SECONDS - 1
    pages.exchange.step()
    assert len(pages.kinesis.records["in"]) == 1
    pages.time.now += 2
    pages.exchange.step()
    first, again = pages.kinesis.records["in"]
    assert first == again


def test_offers_and_tries_are_forgotten_after_their_days(pages: Pages) -> None:
    where = pages.send("/newc", NEW).location
    pages.exchange.step()
    pages.time.now = NOON + 7 * 86400 + 1
    pages.exchange.step()
    assert pages.browser.get(where).status_code == 404
