"""How the simulators behave when the other side is slow, full, down or silent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
import requests
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from simulation_business.clients.outcomes import OutcomeSender
from simulation_business.clients.scorer import TRIES, NotReady, ScorerClient
from simulation_business.clients.sending import CaseSender, NoStream, wait_for_stream
from simulation_business.http import HttpTraffic
from simulation_business.traffic.pace import Pace
from simulation_business.traffic.tally import Tally
from simulation_business.traffic.traffic import Case

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> bool:
        self.now += seconds
        self.slept.append(seconds)
        return False


class Session:
    """Answers what it was given, in order; an exception is raised, the last answer stands for all that follow."""

    def __init__(self, *answers: Any):
        self.answers, self.sent = list(answers), list[tuple[str, Any]]()

    def post(self, address: str, data: bytes, **_: Any) -> requests.Response:
        self.sent.append((address, data))
        return self._next()

    def get(self, address: str, **_: Any) -> requests.Response:
        return self._next()

    def _next(self) -> requests.Response:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(status: int, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update({k.replace("_", "-"): v for k, v in headers.items()})
    response._content = b"{}"
    return response


def client(time: Time, *answers: Any) -> tuple[ScorerClient, Session]:
    session = Session(*answers)
    return ScorerClient("http://scorer", time.sleep, lambda: 0.0, lambda: NOON, lambda: session), session  # type: ignore[arg-type, return-value]


def case(n: int, customer: int | None = None) -> Case:
    return Case(f"sim-1-{n}", n if customer is None else customer, b"{}", n % 2)


def test_a_rejection_is_final_and_a_failure_is_tried_again_longer_and_longer():
    time = Time()
    scorer, session = client(time, answer(422))
    assert (scorer.predict(b"{}"), len(session.sent), time.slept) == (422, 1, [])
    scorer, session = client(time, requests.ConnectionError(), answer(500), answer(503), answer(200))
    assert (scorer.predict(b"{}"), len(session.sent), time.slept) == (200, 4, [0.2, 0.4, 0.8])


def test_tries_are_bounded():
    time = Time()
    for last, status in ((requests.ConnectionError(), 0), (answer(503), 503)):
        scorer, session = client(time, last)
        assert (scorer.predict(b"{}"), len(session.sent)) == (status, TRIES)


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("7", 7),
        ("Sat, 21 Nov 2026 12:00:09 GMT", 9),
        ("86400", 30),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.2),
        ("soon", 0.2),
    ],
)
def test_retry_after_is_honoured_within_reason(asked: str, waited: float):
    time = Time()
    scorer, _ = client(time, answer(503, Retry_After=asked), answer(200))
    assert scorer.predict(b"{}") == 200
    assert time.slept == [waited]


def test_a_client_that_should_stop_does_not_retry():
    session = Session(requests.ConnectionError())
    scorer = ScorerClient("http://scorer", lambda _: True, lambda: 0.0, session=lambda: session)  # type: ignore[arg-type, return-value]
    assert (scorer.predict(b"{}"), len(session.sent)) == (0, 1)


def test_it_waits_for_a_scorer_that_loads_and_not_for_ever():
    time = Time()
    scorer, _ = client(time, requests.ConnectionError(), answer(503), answer(200))
    assert scorer.wait_ready(10, time.clock)
    scorer, _ = client(time, answer(503))
    with pytest.raises(NotReady, match="not ready within 10 s"):
        scorer.wait_ready(10, time.clock)
    assert time.now < 13


def test_outcomes_wait_for_their_time_and_leave_together():
    time, tally = Time(), Tally(Random(1))
    scorer, session = client(time, answer(202))
    outcomes = OutcomeSender(scorer, 60.0, tally, time.clock)
    for n in range(3):
        outcomes.schedule(case(n))
    time.now = 59.9
    outcomes.send_due()
    assert not session.sent
    time.now = 60.1
    outcomes.send_due()
    assert [a for a, _ in session.sent] == ["http://scorer/outcomes"]
    assert session.sent[0][1].count(b"prediction_id") == 3
    assert (tally["outcomes sent"], len(outcomes)) == (3, 0)


def test_http_traffic_sorts_what_came_back_and_sends_the_truth_of_what_was_answered():
    time, tally = Time(), Tally(Random(1))
    scorer, _ = client(time, answer(200), answer(422), answer(500), answer(404), answer(202))
    scorer._sleep = lambda _: True  # no second try
    outcomes = OutcomeSender(scorer, 5.0, tally, time.clock)
    traffic = HttpTraffic(scorer, outcomes, tally, Pace(10, time.clock), time.clock, time.sleep, 1)
    traffic.run(iter([case(n) for n in range(4)]), lambda: None)
    assert [tally[k] for k in ("sent", "answered", "rejected", "failed", "outcomes sent")] == [4, 1, 1, 2, 1]
    assert time.now >= 5


class Kinesis:
    """Takes entries, but fails those whose turn it is: `fail(attempt, entry)`."""

    def __init__(self, fail: Any):
        self.fail, self.taken, self.calls = fail, list[bytes](), 0

    def put_records(self, **call: Any) -> dict[str, Any]:
        self.calls += 1
        answers = []
        for entry in call["Records"]:
            failed = self.fail(self.calls, entry)
            answers.append({"ErrorCode": "InternalFailure"} if failed else {"SequenceNumber": "1"})
            if not failed:
                self.taken.append(entry["Data"])
        return {"FailedRecordCount": sum("ErrorCode" in a for a in answers), "Records": answers}


def sender(kinesis: Kinesis, time: Time, tally: Tally) -> CaseSender:
    return CaseSender(kinesis, "predictions", tally, time.clock, time.sleep, lambda: 0.0)


def numbered(count: int, customers: int) -> Iterator[Case]:
    return (Case(f"sim-1-{n}", n % customers, b"%d" % n, 0) for n in range(count))


def test_entries_that_fail_are_sent_again_and_none_overtakes_another_of_its_customer():
    random, tally = Random(3), Tally(Random(1))
    kinesis = Kinesis(lambda attempt, entry: random.random() < 0.3)
    sent = list(sender(kinesis, Time(), tally).send(list(numbered(200, 7))))
    assert len(sent) == len(kinesis.taken) == 200
    for customer in range(7):
        of_one = [int(d) for d in kinesis.taken if int(d) % 7 == customer]
        assert of_one == sorted(of_one)


def test_what_a_stream_never_takes_is_counted_as_failed_after_a_minute():
    time, tally = Time(), Tally(Random(1))
    kinesis = Kinesis(lambda attempt, entry: entry["Data"] == b"1")
    sent = list(sender(kinesis, time, tally).send(list(numbered(3, 3))))
    assert [c.prediction_id for c in sent] == ["sim-1-0", "sim-1-2"]
    assert tally["failed"] == 1
    assert 60 < time.now < 120


def test_a_stream_that_is_not_active_is_waited_for_and_then_named():
    class Empty:
        def describe_stream_summary(self, **_: Any) -> Any:
            return {"StreamDescriptionSummary": {"StreamStatus": "CREATING"}}

    time = Time()
    with pytest.raises(NoStream, match="predictions was not active within 20 s"):
        wait_for_stream(Empty(), "predictions", 20, time.clock, time.sleep)


def test_a_stream_that_cannot_be_asked_for_want_of_a_key_ends_the_waiting_with_what_to_set() -> None:
    class Keyless:
        def describe_stream_summary(self, **_: Any) -> Any:
            raise NoCredentialsError

    with pytest.raises(NoStream, match=r"Unable to locate credentials: set AWS_ACCESS_KEY_ID and"):
        wait_for_stream(Keyless(), "predictions", 20, Time().clock, Time().sleep)


def test_a_stream_whose_address_does_not_answer_is_not_to_be_created() -> None:
    class Away:
        def describe_stream_summary(self, **_: Any) -> Any:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    time = Time()
    with pytest.raises(NoStream, match=r"was not active within 3 s \(EndpointConnectionError\): check KINESIS_ADDRESS"):
        wait_for_stream(Away(), "predictions", 3, time.clock, time.sleep)
