"""The shards of the input stream that are read: from their checkpoints, parents before children."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scorehouse import metrics
from scorehouse.streams.publisher import Backoff
from server.stream.checkpoints import Checkpoints, Position, StreamId

log = logging.getLogger(__name__)
START = Position(None, False)  # a shard's oldest record


@dataclass(slots=True, eq=False)
class Shard:
    """A shard that is read: its position, its iterator (None: ask for one), and when it is due."""

    stream: StreamId
    id: str
    position: Position
    backoff: Backoff
    due: float
    iterator: str | None = None


class Shards:
    """The shards that are read now. `refresh` asks the stream; the children of a shard follow once it has ended."""

    def __init__(
        self,
        client: Any,
        name: str,
        checkpoints: Checkpoints,
        clock: Callable[[], float],
        random: Callable[[], float],
    ):
        """Start without shards; `refresh` finds them."""
        self._client = client
        self._name = name
        self._checkpoints = checkpoints
        self._clock = clock
        self._random = random
        self._stream: StreamId | None = None
        self._positions: dict[str, Position] = {}  # of shards that are not read: never begun, or ended
        self._read: dict[str, Shard] = {}

    def __len__(self) -> int:
        return len(self._read)

    def __contains__(self, shard: Shard) -> bool:
        return self._read.get(shard.id) is shard

    @property
    def next(self) -> Shard | None:
        """The shard that is due first."""
        return min(self._read.values(), key=lambda shard: shard.due, default=None)

    def refresh(self) -> None:
        """Drop shards that are gone, and add those whose listed parents have all ended. Raises the client's errors."""
        about = self._client.describe_stream_summary(StreamName=self._name)["StreamDescriptionSummary"]
        stream = StreamId(self._name, f"{float(about['StreamCreationTimestamp']):.3f}")
        if stream != self._stream:
            self._begin(stream)
        pages = self._client.get_paginator("list_shards").paginate(StreamName=self._name)
        listed = {shard["ShardId"]: shard for page in pages for shard in page["Shards"]}
        for id_ in self._read.keys() - listed.keys():
            log.error("shard %s of %s disappeared before it was read to its end", id_, self._name)
            self._drop(self._read[id_])
        unread = {id_ for id_ in listed if not self._positions.get(id_, START).ended}
        for id_ in sorted(unread - self._read.keys()):
            if not unread & {listed[id_].get("ParentShardId"), listed[id_].get("AdjacentParentShardId")}:
                self._add(stream, id_)
        metrics.STREAM_SHARDS.labels(self._name).set(len(self._read))

    def end(self, shard: Shard) -> None:
        """Stop reading `shard`, which has ended."""
        self._drop(shard)
        self._positions[shard.id] = shard.position._replace(ended=True)
        log.info("%s of %s has ended", shard.id, self._name)

    def _begin(self, stream: StreamId) -> None:
        if self._stream is not None:
            log.warning("the stream %s was deleted and created again: reading it from its oldest record", self._name)
        for shard in list(self._read.values()):
            self._drop(shard)
        self._stream, self._positions = stream, self._checkpoints.positions(stream)

    def _add(self, stream: StreamId, id_: str) -> None:
        position = self._positions.get(id_, START)
        self._read[id_] = Shard(stream, id_, position, Backoff(self._random), self._clock())
        log.info("reading %s of %s after %s", id_, self._name, position.sequence or "nothing")

    def _drop(self, shard: Shard) -> None:
        del self._read[shard.id]
        self._positions[shard.id] = shard.position
        metrics.STREAM_BEHIND.remove(self._name, shard.id)
        metrics.STREAM_SHARDS.labels(self._name).set(len(self._read))
