"""Publishing: entries in order, again where that helps, told where it does not, and never forever after a stop."""

from __future__ import annotations

from itertools import count, repeat
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from scorehouse.streams.publisher import MOST_BYTES, MOST_ENTRIES, Backoff, GaveUp, Publisher, Refusal
from tests.unit.server.stream.fakes import FakeKinesis, refused

THROTTLED = "ProvisionedThroughputExceededException"


def entries(number: int, size: int = 10) -> list[dict[str, Any]]:
    return [{"Data": str(i).encode().rjust(size), "PartitionKey": f"k{i % 3}"} for i in range(number)]


class Sleeper:
    """Counts the seconds instead of waiting them; says stop from the given call on."""

    def __init__(self, stop_at: float = float("inf")):
        """Never say stop, unless told when."""
        self.waits: list[float] = []
        self._calls, self._stop_at = count(1), stop_at

    def __call__(self, seconds: float) -> bool:
        """Wait."""
        self.waits.append(seconds)
        return next(self._calls) >= self._stop_at


@pytest.fixture
def kinesis() -> FakeKinesis:
    return FakeKinesis()


@pytest.fixture
def sleep() -> Sleeper:
    return Sleeper()


@pytest.fixture
def publisher(kinesis: FakeKinesis, sleep: Sleeper) -> Publisher:
    return Publisher(kinesis, sleep, lambda: 0.0)


def sizes(kinesis: FakeKinesis) -> list[int]:
    return [len(given["Records"]) for name, given in kinesis.calls if name == "put_records"]


def test_a_call_carries_500_entries_at_most(kinesis: FakeKinesis, publisher: Publisher) -> None:
    assert publisher.put("results", entries(1201)) == []
    assert sizes(kinesis) == [MOST_ENTRIES, MOST_ENTRIES, 201]
    assert kinesis.taken["results"] == entries(1201)


def test_a_call_carries_five_megabytes_at_most_keys_included(kinesis: FakeKinesis, publisher: Publisher) -> None:
    publisher.put("results", entries(12, 1_000_000))
    assert sizes(kinesis) == [4, 4, 4]
    for _, given in kinesis.calls:
        assert sum(len(e["Data"]) + len(e["PartitionKey"]) for e in given["Records"]) <= MOST_BYTES
    assert kinesis.taken["results"] == entries(12, 1_000_000)


def test_nothing_to_put_is_no_call(kinesis: FakeKinesis, publisher: Publisher) -> None:
    assert publisher.put("results", []) == []
    assert kinesis.calls == []


def test_entries_that_fail_alone_are_sent_again_in_their_order_before_the_next_call(
    kinesis: FakeKinesis, publisher: Publisher
) -> None:
    kinesis.entry_faults = [[THROTTLED if i % 5 == 0 else None for i in range(500)], ["InternalFailure"] + [None] * 99]
    assert publisher.put("results", entries(502)) == []
    assert sizes(kinesis) == [500, 100, 1, 2]
    sent = [given["Records"] for _, given in kinesis.calls]
    assert sent[1] == entries(502)[0:500:5]
    assert sent[2] == entries(1)
    assert sorted(e["Data"] for e in kinesis.taken["results"]) == sorted(e["Data"] for e in entries(502))


@pytest.mark.parametrize("code", ["InvalidArgumentException", "KMSAccessDeniedException"])
def test_what_would_be_refused_for_ever_is_returned_with_the_reason(
    kinesis: FakeKinesis, publisher: Publisher, code: str
) -> None:
    kinesis.entry_faults = [[None, code, THROTTLED], [code]]
    assert publisher.put("results", entries(3)) == [Refusal(1, f"{code}: said so"), Refusal(2, f"{code}: said so")]
    assert kinesis.taken["results"] == entries(1)


@pytest.mark.parametrize(
    "error",
    [
        refused(THROTTLED),
        refused("ResourceNotFoundException"),
        refused("ResourceInUseException"),
        refused("InternalFailure", 500),
        ReadTimeoutError(endpoint_url="http://127.0.0.1:9"),
    ],
)
def test_a_call_that_fails_is_made_again_until_it_does_not(
    kinesis: FakeKinesis, publisher: Publisher, sleep: Sleeper, error: Exception
) -> None:
    kinesis.faults["put_records"] = [error] * 9
    assert publisher.put("results", entries(3)) == []
    assert kinesis.taken["results"] == entries(3)
    assert sleep.waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_readiness_hears_of_a_stream_that_is_down_and_that_it_is_back(kinesis: FakeKinesis) -> None:
    heard: list[str | None] = []

    def listen(seconds: float) -> bool:
        heard.append(one.problem)
        return False

    one = Publisher(kinesis, listen, lambda: 0.0)
    kinesis.faults["put_records"] = [refused("ServiceUnavailable", 503)]
    one.put("results", entries(1))
    assert str(heard[0]).startswith("results: ")
    assert one.problem is None


def test_a_call_without_permission_is_raised(kinesis: FakeKinesis, publisher: Publisher) -> None:
    kinesis.faults["put_records"] = [refused("AccessDeniedException")]
    with pytest.raises(ClientError, match="AccessDenied"):
        publisher.put("results", entries(1))


def test_a_stream_is_waited_for(kinesis: FakeKinesis, publisher: Publisher, sleep: Sleeper) -> None:
    kinesis.faults["describe_stream_summary"] = [refused("ResourceNotFoundException")] * 3
    publisher.find("results")
    assert len(sleep.waits) == 3


def test_after_a_stop_it_gives_up_only_when_there_is_no_progress(kinesis: FakeKinesis) -> None:
    kinesis.entry_faults = [[None] + [THROTTLED] * left for left in reversed(range(20))]
    assert Publisher(kinesis, Sleeper(stop_at=1), lambda: 0.0).put("results", entries(20)) == []
    sleep = Sleeper(stop_at=3)
    kinesis.faults["put_records"] = [refused("ServiceUnavailable", 503)] * 99
    with pytest.raises(GaveUp, match="sent again at the next start"):
        Publisher(kinesis, sleep, lambda: 0.0).put("results", entries(20))
    assert len(sleep.waits) == 7


def test_who_gives_up_says_which_entries_are_left(kinesis: FakeKinesis) -> None:
    kinesis.entry_faults = [[None] * 500, [None, "InvalidArgumentException", *repeat(THROTTLED, 498)]]
    kinesis.entry_faults += [list(repeat(THROTTLED, 498))] * 9
    with pytest.raises(GaveUp) as gave_up:
        Publisher(kinesis, Sleeper(stop_at=1), lambda: 0.0).put("results", entries(1100))
    assert gave_up.value.left == frozenset(range(501, 1100))


def test_waits_are_shortened_by_up_to_half_at_random() -> None:
    waits = Backoff(lambda: 1.0)
    assert [waits.next() for _ in range(3)] == [0.05, 0.1, 0.2]
    waits.reset()
    assert waits.next() == 0.05
