"""No request is lost, whatever is down, and each answer reaches the visitor who asked."""

from __future__ import annotations

from base64 import b64encode

import orjson
from botocore.exceptions import EndpointConnectionError

from tests.unit.web_service.conftest import NEW, NOON, STREAMS, Pages
from web_service.offers.exchange import POLL_IDLE, POLL_LATE, POLL_SOON, RESEND_SECONDS, Exchange

DOWN = EndpointConnectionError(endpoint_url="http://stream")


def test_a_request_made_while_the_stream_is_down_is_sent_when_it_is_back(pages: Pages) -> None:
    pages.kinesis.down = DOWN
    where = pages.send("/newc", NEW).location
    waits = [pages.exchange.try_step() for _ in range(5)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 5.0]
    assert pages.exchange.problem
    pages.time.now += 20
    assert "Nothing is lost" in pages.browser.get(where).text
    pages.kinesis.down = None
    assert pages.exchange.try_step() == POLL_SOON
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


def test_an_offer_that_cannot_be_priced_is_explained_kindly_and_only_to_its_owner(pages: Pages) -> None:
    where = pages.send("/newc", NEW).location
    pages.exchange.step()
    (sent,) = pages.kinesis.records["in"]
    dead_letter = {"reason": "Power: is not allowed", "data": b64encode(sent).decode()}
    pages.kinesis.records["out-errors"].append(orjson.dumps(dead_letter))
    pages.exchange.step()
    html = pages.browser.get(where).text
    assert "We cannot price this automatically" in html
    assert "is not allowed" not in html


def test_answers_to_others_and_invalid_records_are_skipped(pages: Pages) -> None:
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
    assert pages.exchange.try_step() == POLL_SOON
    assert "312.40" in pages.browser.get(where).text


def test_the_first_answer_is_kept_and_a_replay_changes_nothing(pages: Pages) -> None:
    where = pages.send("/newc", NEW).location
    pages.exchange.step()
    pages.kinesis.answer(312.4)
    pages.exchange.step()
    pages.kinesis.answer(999.0)
    pages.send("/newc", NEW)  # so that it reads on
    pages.exchange.step()
    assert "312.40" in pages.browser.get(where).text


def test_it_polls_often_at_first_less_often_when_late_and_rarely_when_no_offer_waits(pages: Pages) -> None:
    assert pages.exchange.step() == POLL_IDLE
    pages.send("/newc", NEW)
    assert pages.exchange.step() == POLL_SOON
    pages.time.now += 31
    assert pages.exchange.step() == POLL_LATE


def test_a_record_is_sent_again_before_the_stream_forgets_it(pages: Pages) -> None:
    pages.send("/newc", NEW)
    pages.exchange.step()
    pages.time.now += RESEND_SECONDS - 1
    pages.exchange.step()
    assert len(pages.kinesis.records["in"]) == 1
    pages.time.now += 2
    pages.exchange.step()
    first, again = pages.kinesis.records["in"]
    assert first == again


def test_offers_are_forgotten_after_their_days(pages: Pages) -> None:
    where = pages.send("/newc", NEW).location
    pages.exchange.step()
    pages.time.now = NOON + 7 * 86400 + 1
    pages.exchange.step()
    assert pages.browser.get(where).status_code == 404
