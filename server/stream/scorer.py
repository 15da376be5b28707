"""The loop: read a batch, score and journal it, while a thread publishes the previous batch and commits it last."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from scorehouse import metrics
from scorehouse.errors import JournalError
from scorehouse.serving.serving import Serving
from scorehouse.streams.packing import Slice, slices
from scorehouse.streams.publisher import Publisher
from scorehouse.streams.records import Scored, error_entry, score
from scorehouse.usecase import UseCase
from server.stream.checkpoints import Checkpoints, Position
from server.stream.heartbeat import Heartbeat
from server.stream.shards import Shard
from server.stream.source import ShardBatch, Source

log = logging.getLogger(__name__)
MODEL_SECONDS = 0.25  # between two checks whether a model is loaded


@dataclass(frozen=True, slots=True)
class Batch:
    """Parts of a shard's records whose answers are in the journal, to be published, and how far that brings it."""

    shard: Shard
    scored: Scored
    position: Position
    began: float


class StreamScorer:
    """Answers every record of the input stream. The order journal, put, checkpoint loses none of them."""

    def __init__(
        self,
        use_case: UseCase,
        serving: Serving,
        source: Source,
        publisher: Publisher,
        checkpoints: Checkpoints,
        streams: tuple[str, str, str],
        heartbeat: Heartbeat,
        clock: Callable[[], float],
    ):
        """`streams` are input, results and errors."""
        self._use_case = use_case
        self._serving = serving
        self._source = source
        self._publisher = publisher
        self._checkpoints = checkpoints
        self._heartbeat = heartbeat
        self._clock = clock
        self._input, self._results, self._errors = streams

    def run(self) -> None:
        """Score until the heartbeat stops, and finish what is under way. Raises errors that no retry will cure."""
        with ThreadPoolExecutor(1, "writer") as writer:
            try:
                self._publisher.find(self._results)
                self._publisher.find(self._errors)
                self._loop(writer)
            finally:
                self._heartbeat.stop()  # or a writer that waits for a stream would go on after the reader has failed

    def _loop(self, writer: ThreadPoolExecutor) -> None:
        written: Future[None] | None = None
        while not self._heartbeat.pause(self._idle()):
            read = self._source.read() if self._serving.model else None
            for batch in self._score(read) if read else (None,):
                if written and (batch or written.done()):
                    written.result()
                    written = None
                if batch:
                    written = writer.submit(self._write, batch)
        if written:
            written.result()

    def _idle(self) -> float:
        return self._source.wait() if self._serving.model else MODEL_SECONDS

    def _score(self, read: ShardBatch) -> Iterator[Batch | None]:
        """Yield the batch in slices, and None for each time that the journal cannot be written."""
        for part in slices(read.records):
            began = self._clock()
            while (scored := self._journalled(read.shard, part)) is None:  # no answer may leave: score it again
                yield None
                if self._heartbeat.pause(read.shard.backoff.next()):
                    return
            if part.last:
                self._source.done(read)
            position = read.position if part.last else Position(part.complete, False)
            yield Batch(read.shard, scored, position, began)
            if not part.last and self._heartbeat.pause(0) and part.complete:
                return

    def _journalled(self, shard: Shard, part: Slice) -> Scored | None:
        try:
            scored = score(self._serving, self._use_case.envelope, shard.id, part.parts)
        except JournalError as error:
            log.error("%s", error)
            return None
        metrics.STREAM_IN.labels(self._input).inc(len(part.parts))
        return scored

    def _write(self, batch: Batch) -> None:
        shard, scored = batch.shard, batch.scored
        refused = self._publisher.put(self._results, scored.results)
        late = [
            error_entry(shard.id, scored.origins[r.place], f"the results stream refused the answer: {r.reason}")
            for r in refused
        ]
        for refusal in self._publisher.put(self._errors, scored.errors + late):
            metrics.STREAM_UNPLACED.labels(self._errors).inc()
            log.error("a record of %s cannot be reported in %s: %s", shard.id, self._errors, refusal.reason)
        self._checkpoints.save(shard.stream, shard.id, batch.position)
        metrics.STREAM_SECONDS.labels(self._input).observe(self._clock() - batch.began)
