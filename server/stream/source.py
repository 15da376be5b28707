"""Batches of records from the input stream, whatever happens to its shards, iterators and service."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from scorehouse import metrics
from scorehouse.streams.packing import StreamRecord
from scorehouse.streams.publisher import FAULTS, MISSING, NOT_READY, THROTTLED, Backoff, code_of, passes
from server.stream.checkpoints import Position
from server.stream.shards import Shard, Shards

log = logging.getLogger(__name__)
MOST_RECORDS = 2000  # of one batch: 10,000 a second from a shard that may be read five times a second
IDLE_SECONDS = 0.25  # between two reads of a shard without more records: leaves one of five a second to others
LIST_SECONDS = 60.0
EXPIRED = "ExpiredIteratorException"
# What a call may answer for a stream, shard, record or iterator that is gone: ask for all of them again.
_GONE = NOT_READY | {EXPIRED, "InvalidArgumentException"}


@dataclass(frozen=True, slots=True)
class ShardBatch:
    """The records of one GetRecords, how to read on, and the position of the shard once they are done."""

    shard: Shard
    records: list[StreamRecord]
    following: str | None  # the iterator of the next batch; None once the shard has ended
    behind: int  # milliseconds
    position: Position


class Source:
    """Reads a batch at a time from the shard that has waited longest."""

    def __init__(self, client: Any, name: str, shards: Shards, clock: Callable[[], float], random: Callable[[], float]):
        """Read nothing yet; the first `read` looks for the stream."""
        self._client = client
        self._name = name
        self._clock = clock
        self.shards = shards
        self._list_at = clock()
        self._list_backoff = Backoff(random)
        self.problem: str | None = f"the stream {name} has not been contacted yet"

    def wait(self) -> float:
        """Return the seconds until something is due, 0 to 1."""
        shard = self.shards.next
        due = self._list_at if shard is None else min(shard.due, self._list_at)
        return min(max(due - self._clock(), 0.0), 1.0)

    def read(self) -> ShardBatch | None:
        """Return the next batch; None if nothing is due, nothing new came, or a call must be made again later.

        Raises:
            ClientError: a call is refused for good: no permission, no credentials.
        """
        now = self._clock()
        if now >= self._list_at:
            self._list()
            return None
        shard = self.shards.next
        if shard is None or shard.due > now:
            return None
        try:
            batch = self._get(shard)
        except FAULTS as error:
            self._retry_later(shard, error)
            return None
        self._set_problem(None)
        metrics.STREAM_BEHIND.labels(self._name, shard.id).set(batch.behind)
        if batch.records or batch.position.ended:
            return batch
        self.done(batch)
        return None

    def done(self, batch: ShardBatch) -> None:
        """Read on after `batch`, because its answers are in the journal."""
        shard = batch.shard
        shard.backoff.reset()
        if batch.position.ended:
            self.shards.end(shard)
            self._list_at = self._clock()  # its children may begin
            return
        more = batch.behind or len(batch.records) == MOST_RECORDS
        shard.position = batch.position
        shard.iterator = batch.following
        shard.due = self._clock() + (0 if more else IDLE_SECONDS)

    def _get(self, shard: Shard) -> ShardBatch:
        if shard.iterator is None:
            shard.iterator = self._iterator(shard)
        answer = self._client.get_records(ShardIterator=shard.iterator, Limit=MOST_RECORDS)
        records, following = answer["Records"], answer.get("NextShardIterator")
        last = records[-1]["SequenceNumber"] if records else shard.position.sequence
        return ShardBatch(
            shard, records, following, answer.get("MillisBehindLatest") or 0, Position(last, not following)
        )

    def _iterator(self, shard: Shard) -> str:
        where = {"StreamName": self._name, "ShardId": shard.id}
        if (last := shard.position.sequence) is not None:
            after = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": last}
            try:
                return str(self._client.get_shard_iterator(**where, **after)["ShardIterator"])
            except ClientError as error:
                if code_of(error) not in _GONE or not self._still_read(shard):
                    raise
                log.error("%s no longer contains record %s: reading it again from its oldest record", shard.id, last)
        return str(self._client.get_shard_iterator(**where, ShardIteratorType="TRIM_HORIZON")["ShardIterator"])

    def _still_read(self, shard: Shard) -> bool:
        self.shards.refresh()
        return shard in self.shards

    def _list(self) -> None:
        try:
            self.shards.refresh()
        except FAULTS as error:
            self._check(error)
            self._count("ListShards", error)
            self._list_at = self._clock() + self._list_backoff.next()
            return
        self._list_backoff.reset()
        self._list_at = self._clock() + LIST_SECONDS

    def _retry_later(self, shard: Shard, error: Exception) -> None:
        """Try `shard` again later, with a new iterator unless it was only throttled."""
        self._check(error)
        self._count("GetRecords", error)
        if code_of(error) not in THROTTLED:
            shard.iterator = None
        if code_of(error) == MISSING:
            self._list_at = self._clock() + shard.backoff.next()
        shard.due = self._clock() + shard.backoff.next()

    def _check(self, error: Exception) -> None:
        """Raise `error` if waiting does not help."""
        if not passes(error) and code_of(error) not in _GONE:
            raise error

    def _count(self, operation: str, error: Exception) -> None:
        code = code_of(error)
        metrics.STREAM_RETRIES.labels(operation, code).inc()
        if code != EXPIRED and code not in THROTTLED:
            self._set_problem(f"{self._name}: {error}")

    def _set_problem(self, problem: str | None) -> None:
        if (problem is None) != (self.problem is None):
            log.warning("%s; trying again", problem) if problem else log.info("%s is read", self._name)
        self.problem = problem
        metrics.STREAM_UP.labels(self._name).set(problem is None)
