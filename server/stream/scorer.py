"""The loop: read a page, score and journal it; behind it a thread publishes the page before and commits last."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from scorehouse import metrics
from scorehouse.errors import JournalError
from scorehouse.serving.serving import Serving
from scorehouse.streams.publisher import Publisher
from scorehouse.streams.records import Scored, error_entry, score
from scorehouse.usecase import UseCase
from server.stream.checkpoints import Checkpoints
from server.stream.heartbeat import Heartbeat
from server.stream.source import ShardBatch, Source

log = logging.getLogger(__name__)
MODEL_SECONDS = 0.25  # between two looks whether a model serves


@dataclass(frozen=True, slots=True)
class Batch:
    """A page whose answers are in the journal, to be published."""

    page: ShardBatch
    scored: Scored
    began: float


class StreamScorer:
    """Answers every record of the input stream; nothing is lost because of the order: journal, put, checkpoint."""

    def __init__(
        self,
        use_case: UseCase,
        serving: Serving,
        source: Source,
        publisher: Publisher,
        checkpoints: Checkpoints,
        streams: tuple[str, str, str],
        pulse: Heartbeat,
        clock: Callable[[], float],
    ):
        """`streams` are input, results and errors."""
        self._use_case, self._serving, self._source = use_case, serving, source
        self._publisher, self._checkpoints, self._pulse, self._clock = publisher, checkpoints, pulse, clock
        self._input, self._results, self._errors = streams

    def run(self) -> None:
        """Score until the pulse says stop, and finish what is under way. Raises what does not pass by itself."""
        with ThreadPoolExecutor(1, "writer") as writer:
            try:
                self._publisher.find(self._results)
                self._publisher.find(self._errors)
                self._loop(writer)
            finally:
                self._pulse.stop()  # or a writer that waits for a stream would outlive a reader that failed

    def _loop(self, writer: ThreadPoolExecutor) -> None:
        written: Future[None] | None = None
        while not self._pulse.pause(self._idle()):
            page = self._source.read() if self._serving.model else None
            batch = self._score(page) if page else None
            if written and (batch or written.done()):
                written.result()
                written = None
            if batch:
                written = writer.submit(self._write, batch)
        if written:
            written.result()

    def _idle(self) -> float:
        return self._source.wait() if self._serving.model else MODEL_SECONDS

    def _score(self, page: ShardBatch) -> Batch | None:
        began = self._clock()
        try:
            scored = score(self._serving, self._use_case.envelope, page.shard.id, page.records)
        except JournalError as error:  # no answer may leave: the page is read again
            log.error("%s", error)
            self._source.again(page)
            return None
        self._source.done(page)
        metrics.STREAM_IN.labels(self._input).inc(len(page.records))
        return Batch(page, scored, began)

    def _write(self, batch: Batch) -> None:
        page, scored = batch.page, batch.scored
        refused = self._publisher.put(self._results, scored.results)
        late = [error_entry(page.shard.id, scored.origins[r.place], f"results refused: {r.reason}") for r in refused]
        for refusal in self._publisher.put(self._errors, scored.errors + late):
            metrics.STREAM_UNPLACED.labels(self._errors).inc()
            log.error("a record of %s cannot be told in %s: %s", page.shard.id, self._errors, refusal.reason)
        self._checkpoints.save(page.shard.stream, page.shard.id, page.position)
        metrics.STREAM_SECONDS.labels(self._input).observe(self._clock() - batch.began)
