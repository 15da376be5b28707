"""Reads streams from a given time on, for clients that wait for answers and keep no checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scorehouse.streams.publisher import FAULTS

MOST = 10_000  # records of one read: what Kinesis allows
_OLDEST = {"ShardIteratorType": "TRIM_HORIZON"}


@dataclass(slots=True)
class _Shard:
    stream: str
    id: str
    start: dict[str, Any]  # where to start, until a record was read
    iterator: str | None = None
    last: str | None = None  # sequence number


class Tail:
    """Reads every shard of some streams, and the shards that follow when one is split or merged."""

    def __init__(self, client: Any, streams: Sequence[str], since: datetime | None = None):
        """Start at `since`, or else after the newest record. Raises what the client raises (publisher.FAULTS)."""
        self._client, self._shards = client, dict[tuple[str, str], _Shard]()
        moment = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": since}
        for stream in streams:
            for id_ in self._list(stream):
                shard = _Shard(stream, id_, moment if since else _OLDEST)
                shard.iterator = self._iterator(shard, moment if since else {"ShardIteratorType": "LATEST"})
                self._shards[stream, id_] = shard

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Yield the stream and the data of each record that came since the last read, one batch of each shard."""
        for shard in list(self._shards.values()):
            for record in self._page(shard):
                yield shard.stream, record["Data"]

    def _page(self, shard: _Shard) -> list[dict[str, Any]]:
        try:
            if shard.iterator is None:
                shard.iterator = self._iterator(shard, shard.start)
            page = self._client.get_records(ShardIterator=shard.iterator, Limit=MOST)
        except FAULTS:  # throttled, expired or down: the next call reads on from the last record
            shard.iterator = None
            return []
        records: list[dict[str, Any]] = page["Records"]
        shard.iterator = page.get("NextShardIterator")
        if records:
            shard.last = records[-1]["SequenceNumber"]
        if shard.iterator is None:  # split or merged: its children have what follows
            del self._shards[shard.stream, shard.id]
            for child in page.get("ChildShards", []):
                following = _Shard(shard.stream, child["ShardId"], _OLDEST)
                self._shards.setdefault((shard.stream, following.id), following)
        return records

    def _iterator(self, shard: _Shard, start: dict[str, Any]) -> str:
        where = start
        if shard.last is not None:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": shard.last}
        found = self._client.get_shard_iterator(StreamName=shard.stream, ShardId=shard.id, **where)
        return str(found["ShardIterator"])

    def _list(self, stream: str) -> Iterator[str]:
        more: dict[str, str] = {"StreamName": stream}
        while more:
            page = self._client.list_shards(**more)
            yield from (shard["ShardId"] for shard in page["Shards"])
            more = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}
