"""Pages of records from the input stream, whatever becomes of its shards, iterators and service meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from scorehouse import metrics
from scorehouse.streams.publisher import FAULTS, MISSING, THROTTLED, Backoff, code_of, passes
from scorehouse.streams.records import StreamRecord
from server.stream.checkpoints import Position
from server.stream.shards import Shard, Shards

log = logging.getLogger(__name__)
MOST_RECORDS = 2000  # of one page: 10,000 a second from a shard that may be read five times a second
IDLE_SECONDS = 0.25  # between two reads of a shard that has no more: one of its five a second is left to others
LIST_SECONDS = 60.0
EXPIRED = "ExpiredIteratorException"
# What a call may say of a stream, a shard, a record or an iterator that is gone: ask for all of them anew.
_GONE = {MISSING, EXPIRED, "InvalidArgumentException", "ResourceInUseException"}


@dataclass(frozen=True, slots=True)
class ShardBatch:
    """The records that one GetRecords returned, how to read on, and where the shard stands once they are done."""

    shard: Shard
    records: list[StreamRecord]
    following: str | None  # the iterator of the next page; None where the shard has ended
    behind: int  # milliseconds
    position: Position


class Source:
    """Reads a page at a time from the shard that has waited longest."""

    def __init__(self, client: Any, name: str, shards: Shards, clock: Callable[[], float], random: Callable[[], float]):
        """Read nothing yet; the first `read` looks for the stream."""
        self._client, self._name, self._clock = client, name, clock
        self.shards = shards
        self._list_at, self._list_backoff = clock(), Backoff(random)
        self.problem: str | None = f"the stream {name} was not asked for yet"

    def wait(self) -> float:
        """Return the seconds until something is due, 0 to 1."""
        shard = self.shards.next
        due = self._list_at if shard is None else min(shard.due, self._list_at)
        return min(max(due - self._clock(), 0.0), 1.0)

    def read(self) -> ShardBatch | None:
        """Return the next page; None where nothing is due, nothing new came, or a call must be made again later.

        Raises:
            ClientError: a call is refused for good (no permission, no credentials).
        """
        now = self._clock()
        if now >= self._list_at:
            self._list()
            return None
        shard = self.shards.next
        if shard is None or shard.due > now:
            return None
        try:
            page = self._page(shard)
        except FAULTS as error:
            self._later(shard, error)
            return None
        self._say(None)
        metrics.STREAM_BEHIND.labels(self._name, shard.id).set(page.behind)
        if page.records or page.position.ended:
            return page
        self.done(page)
        return None

    def done(self, page: ShardBatch) -> None:
        """Read on behind `page`: its answers are in the journal."""
        shard = page.shard
        shard.backoff.reset()
        if page.position.ended:
            self.shards.end(shard)
            self._list_at = self._clock()  # its children may begin
            return
        more = page.behind or len(page.records) == MOST_RECORDS
        shard.position, shard.iterator = page.position, page.following
        shard.due = self._clock() + (0 if more else IDLE_SECONDS)

    def again(self, page: ShardBatch) -> None:
        """Read `page` once more, later."""
        page.shard.due = self._clock() + page.shard.backoff.next()

    def _page(self, shard: Shard) -> ShardBatch:
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
                log.error("%s no longer knows its record %s: read again from its oldest", shard.id, last)
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

    def _later(self, shard: Shard, error: Exception) -> None:
        """Try `shard` again later, with a new iterator unless it was only throttled."""
        self._check(error)
        self._count("GetRecords", error)
        if code_of(error) not in THROTTLED:
            shard.iterator = None
        if code_of(error) == MISSING:
            self._list_at = self._clock() + shard.backoff.next()
        shard.due = self._clock() + shard.backoff.next()

    def _check(self, error: Exception) -> None:
        """Raise `error` where nothing that a stream goes through explains it."""
        if not passes(error) and code_of(error) not in _GONE:
            raise error

    def _count(self, operation: str, error: Exception) -> None:
        code = code_of(error)
        metrics.STREAM_RETRIES.labels(operation, code).inc()
        if code != EXPIRED and code not in THROTTLED:
            self._say(f"{self._name}: {error}")

    def _say(self, problem: str | None) -> None:
        if (problem is None) != (self.problem is None):
            log.warning("%s; trying again", problem) if problem else log.info("%s is read", self._name)
        self.problem = problem
        metrics.STREAM_UP.labels(self._name).set(problem is None)
