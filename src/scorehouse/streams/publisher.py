"""Publishes to Kinesis streams: PutRecords until each entry is taken or refused for good."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as NoConnection
from botocore.parsers import ResponseParserError

from scorehouse import metrics
from scorehouse.errors import ScorehouseError

log = logging.getLogger(__name__)
Entry = dict[str, Any]  # {"Data": bytes, "PartitionKey": str}
MOST_ENTRIES, MOST_BYTES = 500, 5_000_000  # of one PutRecords call; partition keys count too
TRIES_AFTER_STOP = 4  # without progress, after SIGTERM: the batch is finished unless the stream is down

THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "KMSThrottlingException",
    }
)
# Of an entry or of a call: only these are tried again, because any other refusal would be repeated forever.
PASSING = THROTTLED | {"InternalFailure", "InternalFailureException", "ServiceUnavailable"}
MISSING = "ResourceNotFoundException"
# Of a call: the stream is not there, or is being created or deleted. It is waited for.
NOT_READY = frozenset({MISSING, "ResourceInUseException"})
FAULTS = (ClientError, NoConnection, HTTPClientError, IncompleteReadError, ResponseParserError)


class GaveUp(ScorehouseError):
    """The process should stop, but the stream does not take the batch: the next start sends it again.

    `left` are the indexes of the entries that the stream may not have taken.
    """

    left: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The index of an entry that the stream will never take, and why."""

    place: int
    reason: str


def code_of(error: Exception) -> str:
    """Return AWS's code of `error`, or the class of a connection error."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


def passes(error: Exception) -> bool:
    """Return whether the call may succeed later: after throttling, or while a service or a connection is down."""
    if not isinstance(error, ClientError):
        return True
    return code_of(error) in PASSING or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500


class Backoff:
    """Waits that double from `first` to `longest` seconds, each shortened by up to half at random."""

    def __init__(self, random: Callable[[], float], first: float = 0.1, longest: float = 10.0):
        """`random` returns a number from 0 to 1."""
        self._random, self._first, self._longest = random, first, longest
        self._attempts = 0

    def next(self) -> float:
        """Return the seconds to wait before the next attempt."""
        wait = min(self._longest, self._first * 2.0 ** min(self._attempts, 30))
        self._attempts += 1
        return wait * (1 - self._random() / 2)

    def reset(self) -> None:
        """Start again with the shortest wait."""
        self._attempts = 0


class Publisher:
    """Puts entries into streams, in order; only one thread may use it."""

    def __init__(self, client: Any, sleep: Callable[[float], bool], random: Callable[[], float]):
        """`sleep` waits so many seconds; once the process should stop, it returns True at once."""
        self._client = client
        self._sleep = sleep
        self._random = random
        self._tries_after_stop = TRIES_AFTER_STOP
        self._left: list[int] = []  # of the call under way
        self.problem: str | None = None

    def find(self, stream: str) -> None:
        """Wait until `stream` exists. Raises as `put` does."""
        backoff = Backoff(self._random)
        while True:
            try:
                self._client.describe_stream_summary(StreamName=stream)
            except FAULTS as error:
                self._retry_later("DescribeStreamSummary", stream, backoff, error)
            else:
                self._set_problem(stream, None)
                return

    def put(self, stream: str, entries: Sequence[Entry]) -> list[Refusal]:
        """Put `entries` into `stream`, however long that takes; return those that it refuses for good.

        Entries that fail alone are sent again, in order, before any later call, so no record overtakes one of an
        earlier call. Within one call Kinesis itself may take an entry and refuse the previous one.

        Raises:
            GaveUp: the process should stop, and the stream still accepts no records.
            ClientError: the call itself is refused for good: no permission, no credentials.
        """
        refused: list[Refusal] = []
        calls = list(_calls(entries))
        for done, places in enumerate(calls, 1):
            try:
                refused += self._put_call(stream, entries, places)
            except GaveUp as gave_up:
                gave_up.left = frozenset(chain((r.place for r in refused), self._left, *calls[done:]))
                raise
        metrics.STREAM_OUT.labels(stream).inc(len(entries) - len(refused))
        return refused

    def _put_call(self, stream: str, entries: Sequence[Entry], places: list[int]) -> list[Refusal]:
        refused: list[Refusal] = []
        backoff = Backoff(self._random)
        while places:
            self._left = [*places, *(r.place for r in refused)]
            try:
                answer = self._client.put_records(StreamName=stream, Records=[entries[i] for i in places])
            except FAULTS as error:
                self._retry_later("PutRecords", stream, backoff, error)
                continue
            self._set_problem(stream, None)
            if not answer["FailedRecordCount"]:
                break
            failed = [(i, a) for i, a in zip(places, answer["Records"], strict=True) if a.get("ErrorCode")]
            refused += [Refusal(i, _reason(a)) for i, a in failed if a["ErrorCode"] not in PASSING]
            again = [i for i, a in failed if a["ErrorCode"] in PASSING]
            if len(again) < len(places):
                backoff.reset()
                self._tries_after_stop = TRIES_AFTER_STOP
            places = again
            self._left = [*places, *(r.place for r in refused)]
            if again:
                self._wait("PutRecords", stream, backoff, failed[0][1]["ErrorCode"])
        return refused

    def _retry_later(self, operation: str, stream: str, backoff: Backoff, error: Exception) -> None:
        if not passes(error) and code_of(error) not in NOT_READY:
            raise error
        self._set_problem(stream, f"{stream}: {error}")
        self._wait(operation, stream, backoff, code_of(error))

    def _wait(self, operation: str, stream: str, backoff: Backoff, code: str) -> None:
        metrics.STREAM_RETRIES.labels(operation, code).inc()
        if self._sleep(backoff.next()):
            self._tries_after_stop -= 1
            if self._tries_after_stop < 0:
                raise GaveUp(
                    f"stopping: {stream} is not accepting records ({code}); answers that were not published are sent "
                    "again at the next start"
                )

    def _set_problem(self, stream: str, problem: str | None) -> None:
        if (problem is None) != (self.problem is None):
            log.warning("%s; trying again", problem) if problem else log.info("%s answers", stream)
        self.problem = problem
        metrics.STREAM_UP.labels(stream).set(problem is None)


def _calls(entries: Sequence[Entry]) -> Iterator[list[int]]:
    """Split the indexes of `entries` into parts that fit into one PutRecords call each."""
    places: list[int] = []
    size = 0
    for place, entry in enumerate(entries):
        bytes_ = len(entry["Data"]) + len(entry["PartitionKey"].encode())
        if places and (len(places) == MOST_ENTRIES or size + bytes_ > MOST_BYTES):
            yield places
            places, size = [], 0
        places.append(place)
        size += bytes_
    if places:
        yield places


def _reason(answer: dict[str, Any]) -> str:
    return f"{answer['ErrorCode']}: {answer.get('ErrorMessage', '')}"
