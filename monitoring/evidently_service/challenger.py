"""A challenger scores a share of what was answered (SHADOW_RUN_ID); its answers are compared, never returned.

It reads the prediction log as the drift monitor does, so that the doors know nothing of it and no caller waits for it.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import numpy as np
import orjson

from monitoring.evidently_service.windows.cursor import Cursor
from scorehouse import metrics
from scorehouse.bundles.cache import BundleCache
from scorehouse.errors import CacheUnavailable, RegistryUnavailable, ScorehouseError, StoreUnavailable
from scorehouse.scoring.quality import Vector, quality
from scorehouse.scoring.schema import Rejected
from scorehouse.scoring.scorer import Scorer
from scorehouse.stores.store import Document, Store
from scorehouse.usecase import UseCase

log = logging.getLogger(__name__)
EVERY_SECONDS, AFTER_FAILURE = 1.0, 10.0
BATCH, WINDOW = 500, 2000  # documents a read; pairs that are compared
ENOUGH = 100  # pairs with outcomes, before quality is told
LONGEST_LOG = 64 * 2**20  # bytes, then it begins anew beside the one before
CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(slots=True)
class Pair:
    """One record's two answers, and what happened, once it is known."""

    prediction_id: str
    champion: float
    challenger: float
    outcome: float | None = None


def apart(champion: Vector, challenger: Vector) -> dict[str, float]:
    """Return how far the challenger's answers are from the champion's: mean, mean and 99th percentile of the size."""
    difference = challenger - champion
    size = np.abs(difference)
    figures = {"mean": difference.mean(), "mean_absolute": size.mean(), "p99_absolute": np.percentile(size, 99)}
    return {name: float(value) for name, value in figures.items()}


class Shadow:
    """The challenger `run_id` of one use case. One thread calls it."""

    def __init__(
        self, use_case: UseCase, store: Store, cache: BundleCache, run_id: str, share: float, path: Path, start: Cursor
    ):
        """Load nothing yet; log to `path`, and begin with what the store takes after `start`."""
        self._use_case, self._store, self._cache = use_case, store, cache
        self._run_id, self._share, self._path, self._cursor = run_id, share, path, start
        self._scorer: Scorer | None = None
        self.pairs: deque[Pair] = deque(maxlen=WINDOW)

    def poll(self) -> int:
        """Score and compare once what is new; return how many documents were read at most.

        Raises:
            BundleError, RunNotFound: the challenger cannot be scored at all.
            CacheUnavailable, RegistryUnavailable, StoreUnavailable: worth another try.
        """
        scorer = self._scorer = self._scorer or self._load()
        predictions = self._store.predictions_after(self._use_case.name, self._cursor.seq, BATCH)
        outcomes = self._store.outcomes_after(self._use_case.name, self._cursor.outcome_seq, BATCH)
        chosen = [d for d in predictions if d["model_run_id"] != self._run_id and self._chosen(d["prediction_id"])]
        if chosen:
            self._score(scorer, chosen)
        self._learn(outcomes)
        self._cursor = Cursor(
            predictions[-1]["seq"] if predictions else self._cursor.seq,
            outcomes[-1]["outcome_seq"] if outcomes else self._cursor.outcome_seq,
        )
        if chosen or outcomes:
            self._tell()
        return max(len(predictions), len(outcomes))

    def follow(self, stop: Event) -> Thread:
        """Poll in a thread of its own until `stop` is set, or the challenger turns out to be none."""

        def loop() -> None:
            wait = 0.0
            while not stop.wait(wait):
                try:
                    wait = 0.0 if self.poll() == BATCH else EVERY_SECONDS
                except (CacheUnavailable, RegistryUnavailable, StoreUnavailable) as error:
                    log.warning("the challenger waits: %s", error)
                    wait = AFTER_FAILURE
                except ScorehouseError as error:
                    log.error("SHADOW_RUN_ID: %s; nothing is scored in shadow", error)
                    return
                except Exception:  # what nobody foresaw must not end the comparison for good
                    log.exception("scoring in shadow failed")
                    wait = AFTER_FAILURE

        thread = Thread(target=loop, name="shadow", daemon=True)
        thread.start()
        return thread

    def _load(self) -> Scorer:
        version = self._cache.ask(self._use_case.name, self._run_id)
        scorer = self._cache.load(version).scorer(self._use_case)
        log.info("run %s scores %.0f %% of the records in shadow", self._run_id, 100 * self._share)
        return scorer

    def _chosen(self, prediction_id: str) -> bool:
        """By a hash of the id, so that a restart chooses the same ones."""
        place = int.from_bytes(hashlib.blake2b(prediction_id.encode(), digest_size=8).digest()) / 2.0**64
        return place < self._share

    def _score(self, scorer: Scorer, documents: Sequence[Document]) -> None:
        lines = []
        for document, answer in zip(documents, scorer.score([d["record"] for d in documents]), strict=True):
            if isinstance(answer, Rejected):
                metrics.SHADOW_REJECTED.labels(self._use_case.name, self._run_id).inc()
                continue
            told = document["outcome"]
            pair = Pair(
                document["prediction_id"], document["prediction"], answer, None if told is None else float(told)
            )
            self.pairs.append(pair)
            about = {"prediction_id": pair.prediction_id, "champion_run_id": document["model_run_id"]}
            about |= {"run_id": self._run_id, "champion": pair.champion, "challenger": pair.challenger}
            lines.append(
                orjson.dumps({**about, "created_at": document["created_at"]}, option=orjson.OPT_APPEND_NEWLINE)
            )
        if self._path.exists() and self._path.stat().st_size > LONGEST_LOG:
            self._path.replace(self._path.with_suffix(".old.jsonl"))
        with self._path.open("ab") as file:
            file.writelines(lines)
        metrics.SHADOW_RECORDS.labels(self._use_case.name, self._run_id).inc(len(lines))

    def _learn(self, outcomes: Sequence[Document]) -> None:
        known = {d["prediction_id"]: float(d["outcome"]) for d in outcomes}
        for pair in self.pairs if known else ():
            pair.outcome = known.get(pair.prediction_id, pair.outcome)

    def _tell(self) -> None:
        """Export how far the two are apart and, once outcomes are known, how good each is on the same records."""
        labels = (self._use_case.name, self._run_id)
        if self.pairs:
            champion, challenger = np.array([(p.champion, p.challenger) for p in self.pairs]).T
            for name, value in apart(champion, challenger).items():
                metrics.SHADOW_DIFFERENCE.labels(*labels, name).set(value)
        known = [(p.outcome, p.champion, p.challenger) for p in self.pairs if p.outcome is not None]
        if len(known) >= ENOUGH:
            truth, *both = np.array(known, dtype=float).T
            for role, predictions in zip((CHAMPION, CHALLENGER), both, strict=True):
                for name, value in quality(self._use_case.task, truth, predictions).items():
                    metrics.SHADOW_QUALITY.labels(*labels, name, role).set(value)
