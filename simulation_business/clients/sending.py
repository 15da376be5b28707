"""Cases into a Kinesis stream, in order per customer, for as long as patience lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from botocore.exceptions import ClientError

from scorehouse.errors import ScorehouseError
from scorehouse.streams.publisher import FAULTS, MOST_ENTRIES, GaveUp, Publisher, code_of
from simulation_business.traffic.tally import Tally
from simulation_business.traffic.traffic import Case

PATIENCE_SECONDS = 60.0  # with one call, throttling and failed entries included
LOOK_SECONDS = 0.5


class NoStream(ScorehouseError):
    """The stream is not there."""


class Sender:
    """Puts cases into a stream; `most` at once."""

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
        """`sleep` waits the given seconds and returns early and true once the process should stop."""
        self._client, self._stream, self._tally = client, stream, tally
        self._clock, self._sleep, self._random = clock, sleep, random

    def send(self, batch: Sequence[Case]) -> Iterator[Case]:
        """Send `batch` and yield the cases that the stream took; the others are counted as failed."""
        for call in _without_repeated_keys(batch):
            left = self._put(call)
            self._tally.add("failed", len(left))
            yield from (case for place, case in enumerate(call) if place not in left)

    def _put(self, call: list[Case]) -> frozenset[int]:
        """Return the places of those that were not taken."""
        ends = self._clock() + PATIENCE_SECONDS
        publisher = Publisher(self._client, lambda s: self._sleep(s) or self._clock() > ends, self._random)
        entries = [{"Data": case.body, "PartitionKey": str(case.customer_id)} for case in call]
        try:
            return frozenset(refusal.place for refusal in publisher.put(self._stream, entries))
        except GaveUp as gave_up:
            return gave_up.left
        except ClientError as error:
            raise NoStream(f"{self._stream} takes nothing: {error}") from error


def wait_for_stream(
    client: Any, stream: str, seconds: float, clock: Callable[[], float], sleep: Callable[[float], bool]
) -> None:
    """Return once `stream` is active, or the process should stop. Raises NoStream when it is not in time."""
    ends = clock() + seconds
    while True:
        try:
            status = client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamStatus"]
        except FAULTS as error:
            status = code_of(error)
        if status in {"ACTIVE", "UPDATING"}:
            return
        if clock() > ends:
            raise NoStream(
                f"the stream {stream} was not there within {seconds:g} s ({status}): `make init_aws` makes it"
            )
        if sleep(LOOK_SECONDS):
            return


def _without_repeated_keys(batch: Sequence[Case]) -> Iterator[list[Case]]:
    """Split a batch so that no call holds a key twice.

    Kinesis may take the later of two entries and fail the earlier one: sent again, it would have been overtaken.
    """
    call: list[Case] = []
    keys: set[str | int] = set()
    for case in batch:
        if case.customer_id in keys:
            yield call
            call, keys = [], set()
        call.append(case)
        keys.add(case.customer_id)
    if call:
        yield call
