"""One batch of a Kinesis trigger: score, store, publish, and return which records must be sent again."""

from __future__ import annotations

import logging
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import orjson

from scorehouse.errors import ScorehouseError
from scorehouse.serving.deployment import Status
from scorehouse.serving.readiness import no_model
from scorehouse.serving.serving import Serving
from scorehouse.streams.packing import Slice, StreamRecord, slices
from scorehouse.streams.publisher import Entry, GaveUp, Publisher, Refusal
from scorehouse.streams.records import Scored, error_entry, score
from scorehouse.usecase import UseCase

log = logging.getLogger(__name__)
RESERVE_SECONDS = 2.0  # of an invocation's time, kept for reporting what failed
Sleep = Callable[[float], bool]


class NothingServes(ScorehouseError):
    """No model is loaded: the trigger sends the whole batch again."""


class LambdaDoor:
    """What a warm process keeps between batches. In a test run `publisher` is None, and nothing is stored."""

    def __init__(
        self,
        use_case: UseCase,
        serving: Serving,
        poll: Callable[[], Status],
        publisher: Callable[[Sleep], Publisher] | None,
        streams: tuple[str, str],
        report_unscorable: bool,
        sleep: Callable[[float], None],
    ):
        """`poll` keeps the model up to date; `streams` are results and errors."""
        self._use_case = use_case
        self._serving = serving
        self._poll = poll
        self._publisher = publisher
        self._results, self._errors = streams
        self._report_unscorable = report_unscorable
        self._sleep = sleep

    def handle(self, event: Mapping[str, Any], seconds_left: Callable[[], float]) -> dict[str, Any]:
        """Answer every record of `event`; return those to be sent again, by sequence number, in their order.

        A record that cannot be scored never succeeds, so it goes to the errors stream. It is also reported as failed
        if `report_unscorable` says so, and in a test run, which publishes nothing and returns its answers instead.

        A record that contains many is sent again as a whole if one of them must be. Records that the time does not
        suffice for are sent again, too.

        Raises:
            NothingServes, JournalError, ClientError: the whole batch must be sent again. What was published of it will
                be published again, identically.
        """
        status = self._poll()
        if self._serving.model is None:
            raise NothingServes(no_model(status))
        batch = [_record(r) for r in event["Records"]]
        publisher = self._publisher(self._until(seconds_left)) if self._publisher else None
        handled, failed = set[str](), set[str]()
        predictions: list[Any] = []
        for shard, part in _slices(batch):
            records = [record for record, _ in part.parts]
            if seconds_left() < RESERVE_SECONDS:
                failed |= _sequences(records)
                break
            scored = score(self._serving, self._use_case.envelope, shard, part.parts)
            handled |= _sequences(records)
            if publisher is None:
                predictions += [orjson.loads(entry["Data"]) for entry in scored.results]
            else:
                failed |= self._publish(publisher, shard, scored)
            if publisher is None or self._report_unscorable:
                failed |= _sequences(scored.failed)
        sequences = [record["SequenceNumber"] for _, record in batch]
        again = [sequence for sequence in sequences if sequence in failed or sequence not in handled]
        if again:
            log.warning("%d of %d records are reported as failed", len(again), len(batch))
        answer: dict[str, Any] = {"batchItemFailures": [{"itemIdentifier": sequence} for sequence in again]}
        return answer if publisher else {**answer, "predictions": predictions}

    def _publish(self, publisher: Publisher, shard: str, scored: Scored) -> set[str]:
        """Publish parts of one shard's records; return the sequence numbers of those that no stream has taken."""
        left, refused = _put(publisher, self._results, scored.results)
        origins = [scored.origins[r.place] for r in refused]
        late = [
            error_entry(shard, origin, f"the results stream refused the answer: {r.reason}")
            for origin, r in zip(origins, refused, strict=True)
        ]
        unreported, unplaced = _put(publisher, self._errors, scored.errors + late)
        for refusal in unplaced:
            log.error("a record of %s cannot be reported in %s: %s", shard, self._errors, refusal.reason)
        reported = scored.failed + origins
        places = unreported | {refusal.place for refusal in unplaced}
        return _sequences([scored.origins[i] for i in left] + [reported[i] for i in places])

    def _until(self, seconds_left: Callable[[], float]) -> Sleep:
        def sleep(seconds: float) -> bool:
            if seconds_left() - RESERVE_SECONDS < seconds:
                return True
            self._sleep(seconds)
            return False

        return sleep


def _put(publisher: Publisher, stream: str, entries: list[Entry]) -> tuple[frozenset[int], list[Refusal]]:
    """Return the places of the entries that there was no time to put, and the entries that the stream refuses."""
    try:
        return frozenset(), publisher.put(stream, entries) if entries else []
    except GaveUp as gave_up:
        log.warning("%s", gave_up)
        return gave_up.left, []


def _slices(batch: Sequence[tuple[str, StreamRecord]]) -> Iterator[tuple[str, Slice]]:
    for shard, pairs in groupby(batch, key=lambda pair: pair[0]):
        for part in slices([record for _, record in pairs]):
            yield shard, part


def _record(record: Mapping[str, Any]) -> tuple[str, StreamRecord]:
    """Return the shard, from the event's id (`shardId-…:sequence`), and the record as GetRecords would have it."""
    kinesis = record["kinesis"]
    shard = str(record["eventID"]).rpartition(":")[0]
    return shard, {
        "SequenceNumber": kinesis["sequenceNumber"],
        "PartitionKey": kinesis["partitionKey"],
        "Data": b64decode(kinesis["data"]),
    }


def _sequences(records: Iterable[StreamRecord]) -> set[str]:
    return {record["SequenceNumber"] for record in records}
