"""Sends cases into a Kinesis stream, in order for each customer, with retries for a limited time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scorehouse.aws import advice
from scorehouse.errors import ScorehouseError
from scorehouse.streams.publisher import FAULTS, MOST_ENTRIES, GaveUp, Publisher, code_of
from simulation_business.traffic.tally import Tally
from simulation_business.traffic.traffic import Case

PATIENCE_SECONDS = 60.0  # for one call, including throttling and failed entries
POLL_SECONDS = 0.5  # until the stream is active


class NoStream(ScorehouseError):
    """The stream does not exist, or is not active."""


class CaseSender:
    """Puts cases into a stream, at most `most` in one call."""

    most = MOST_ENTRIES

    def __init__(
        self,
        client: Any,
        stream: str,
        tally: Tally,
        clock: Callable[[], float],
        sleep: Callable[[float], bool],
        random: Callable[[], float],
    ):
        """`sleep` waits the given seconds; it returns early, with true, when the process should stop."""
        self._client = client
        self._stream = stream
        self._tally = tally
        self._clock = clock
        self._sleep = sleep
        self._random = random

    def send(self, batch: Sequence[Case]) -> Iterator[Case]:
        """Send `batch` and yield the cases that the stream accepted. The others are counted as failed."""
        for call in _without_repeated_keys(batch):
            failed = self._put(call)
            self._tally.add("failed", len(failed))
            yield from (case for i, case in enumerate(call) if i not in failed)

    def _put(self, call: list[Case]) -> frozenset[int]:
        """Return the positions of the cases that the stream did not accept."""
        ends = self._clock() + PATIENCE_SECONDS
        publisher = Publisher(self._client, lambda s: self._sleep(s) or self._clock() > ends, self._random)
        entries = [{"Data": case.body, "PartitionKey": str(case.customer_id)} for case in call]
        try:
            return frozenset(refusal.place for refusal in publisher.put(self._stream, entries))
        except GaveUp as gave_up:
            return gave_up.left
        except ClientError as error:
            raise NoStream(f"the stream {self._stream} does not accept records: {error}") from error


def wait_for_stream(
    client: Any, stream: str, seconds: float, clock: Callable[[], float], sleep: Callable[[float], bool]
) -> None:
    """Wait until `stream` is active or the process should stop. Raises NoStream if it is not active in time."""
    ends = clock() + seconds
    while True:
        try:
            status = client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamStatus"]
        except FAULTS as error:
            status = code_of(error)
        except BotoCoreError as error:
            raise NoStream(f"the stream {stream} cannot be asked: {error}{advice(error)}") from error
        if status in {"ACTIVE", "UPDATING"}:
            return
        if clock() > ends:
            what = "check KINESIS_ADDRESS" if "Connect" in status else "create it with `make init_aws`"
            raise NoStream(f"the stream {stream} was not active within {seconds:g} s ({status}): {what}")
        if sleep(POLL_SECONDS):
            return


def _without_repeated_keys(batch: Sequence[Case]) -> Iterator[list[Case]]:
    """Split a batch so that no call has the same key twice.

    Kinesis may accept the later of two entries and fail the earlier one, which would then arrive after the later one.
    """
    call: list[Case] = []
    keys: set[str | int] = set()
    for case in batch:
        if case.customer_id in keys:
            yield call
            call = []
            keys = set()
        call.append(case)
        keys.add(case.customer_id)
    if call:
        yield call
