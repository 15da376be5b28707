"""A challenger (SHADOW_RUN_ID) scores a share of the answered records; its answers are compared, never returned.

It reads the prediction log, as the drift monitor does: the doors do not know about it, and no caller waits for it.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import orjson

from monitoring.evidently_service.windows.cursor import Cursor
from scorehouse import metrics
from scorehouse.bundles.cache import BundleCache
from scorehouse.journal.shadow import hold_shadow
from scorehouse.polling import poll_in_thread
from scorehouse.scoring.figures import Vector
from scorehouse.scoring.quality import quality
from scorehouse.scoring.schema import Rejected
from scorehouse.scoring.scorer import Prediction, Scorer
from scorehouse.stores.store import Document, Store
from scorehouse.usecase import UseCase

log = logging.getLogger(__name__)
POLL_SECONDS = 1.0
LONGEST_WAIT = 60.0  # seconds between two attempts while it fails
BATCH = 500  # documents per read
WINDOW = 2000  # pairs that are compared
ENOUGH_OUTCOMES = 100  # pairs with outcomes before quality is exported
LONGEST_LOG = 64 * 2**20  # bytes, after which a new file is started and the one before it is kept
CHAMPION = "champion"
CHALLENGER = "challenger"
ROLES = (CHAMPION, CHALLENGER)  # and the fields of an AnswerPair


@dataclass(slots=True)
class AnswerPair:
    """Both answers to one record, and its outcome once that is known."""

    prediction_id: str
    champion: Prediction
    challenger: Prediction
    outcome: float | None = None


def answer_differences(champion: Vector, challenger: Vector) -> dict[str, float]:
    """Return the mean of challenger less champion, and the mean and 99th percentile of its absolute value.

    Of several classes, (n, classes), it is the chance of the champion's class that is compared: 0 where the challenger
    does not know the class.
    """
    if champion.ndim == 2:
        newer = max(0, champion.shape[1] - challenger.shape[1])
        challenger = np.pad(challenger, ((0, 0), (0, newer)))
        answered = np.arange(len(champion)), champion.argmax(axis=1)
        champion, challenger = champion[answered], challenger[answered]
    difference = challenger - champion
    size = np.abs(difference)
    figures = {"mean": difference.mean(), "mean_absolute": size.mean(), "p99_absolute": np.percentile(size, 99)}
    return {name: float(value) for name, value in figures.items()}


def to_array(predictions: Sequence[Any]) -> Vector:
    """Return predictions (n,), or chances (n, classes): 0 for the classes that are newer than a run that answered."""
    if isinstance(predictions[0], list):
        predictions = list(zip(*zip_longest(*predictions, fillvalue=0.0), strict=True))
    return np.array(predictions, dtype=np.float64)


class Challenger:
    """The challenger `run_id` of one use case. Only one thread may call it."""

    def __init__(
        self, use_case: UseCase, store: Store, cache: BundleCache, run_id: str, share: float, path: Path, start: Cursor
    ):
        """Load nothing yet. The comparison begins with what the store receives after `start`; `path` is its log."""
        self._use_case = use_case
        self._store = store
        self._cache = cache
        self._run_id = run_id
        self._share = share
        self._path = path
        self._cursor = start
        self._scorer: Scorer | None = None
        self.pairs: deque[AnswerPair] = deque(maxlen=WINDOW)

    def poll(self) -> int:
        """Score and compare the new records once; return how many documents were read at most.

        Raises:
            BundleError, RunNotFound: the challenger cannot score this use case's records.
            CacheUnavailable, RegistryUnavailable, StoreUnavailable: worth another try.
        """
        if self._scorer is None:
            self._scorer = self._load()
        with hold_shadow(self._path.parent):  # so that an erasure never misses a line that is about to be written
            return self._compare(self._scorer)

    def _compare(self, scorer: Scorer) -> int:
        self._cursor = self._cursor.of(self._store.identity())
        predictions = self._store.predictions_after(self._use_case.name, self._cursor.seq, BATCH)
        outcomes = self._store.outcomes_after(self._use_case.name, self._cursor.outcome_seq, BATCH)
        chosen = [d for d in predictions if d["model_run_id"] != self._run_id and self._is_chosen(d["prediction_id"])]
        if chosen:
            self._score(scorer, chosen)
        self._add_outcomes(outcomes)
        self._cursor = self._cursor.after(predictions, outcomes)
        if chosen or outcomes:
            self._export()
        return max(len(predictions), len(outcomes))

    def follow(self, stop: Event) -> Thread:
        """Poll in a thread until `stop` is set. A challenger that cannot be loaded is logged and tried again."""
        return poll_in_thread(
            lambda: self.poll() == BATCH, "scoring with the run in SHADOW_RUN_ID", stop, POLL_SECONDS, LONGEST_WAIT
        )

    def _load(self) -> Scorer:
        version = self._cache.ask(self._use_case.name, self._run_id)
        scorer = self._cache.load(version).scorer(self._use_case)
        log.info("the challenger, run %s, scores %.0f %% of the answered records", self._run_id, 100 * self._share)
        return scorer

    def _is_chosen(self, prediction_id: str) -> bool:
        """Decide by a hash of the id, so that a restart chooses the same records."""
        place = int.from_bytes(hashlib.blake2b(prediction_id.encode(), digest_size=8).digest()) / 2.0**64
        return place < self._share

    def _score(self, scorer: Scorer, documents: Sequence[Document]) -> None:
        lines = []
        for document, answer in zip(documents, scorer.score([d["record"] for d in documents]), strict=True):
            if isinstance(answer, Rejected):
                metrics.SHADOW_REJECTED.labels(self._use_case.name, self._run_id).inc()
                continue
            outcome = document["outcome"]
            known = None if outcome is None else float(outcome)
            pair = AnswerPair(document["prediction_id"], document["prediction"], answer, known)
            self.pairs.append(pair)
            line = {
                "prediction_id": pair.prediction_id,
                "champion_run_id": document["model_run_id"],
                "run_id": self._run_id,
                "champion": pair.champion,
                "challenger": pair.challenger,
                "created_at": document["created_at"],
            }
            lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        if self._path.exists() and self._path.stat().st_size > LONGEST_LOG:
            self._path.replace(self._path.with_suffix(".old.jsonl"))
        with self._path.open("ab") as file:
            file.writelines(lines)
        metrics.SHADOW_RECORDS.labels(self._use_case.name, self._run_id).inc(len(lines))

    def _add_outcomes(self, documents: Sequence[Document]) -> None:
        outcomes = {d["prediction_id"]: float(d["outcome"]) for d in documents}
        for pair in self.pairs if outcomes else ():
            pair.outcome = outcomes.get(pair.prediction_id, pair.outcome)

    def _export(self) -> None:
        """Export how far the answers differ and, with enough outcomes, the quality of both on the same records."""
        labels = (self._use_case.name, self._run_id)
        if self.pairs:
            champion, challenger = (to_array([getattr(p, role) for p in self.pairs]) for role in ROLES)
            for name, value in answer_differences(champion, challenger).items():
                metrics.SHADOW_DIFFERENCE.labels(*labels, name).set(value)
        known = [p for p in self.pairs if p.outcome is not None]
        if len(known) >= ENOUGH_OUTCOMES:
            truth = np.array([p.outcome for p in known], dtype=np.float64)
            for role in ROLES:
                predictions = to_array([getattr(p, role) for p in known])
                for name, value in quality(self._use_case.task, truth, predictions).items():
                    metrics.SHADOW_QUALITY.labels(*labels, name, role).set(value)
