"""One watched run: its window, its outcomes, its last evaluation, and since when each column drifts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from monitoring.evidently_service.drift.observed import Observed, RunColumns, times_of
from monitoring.evidently_service.drift.reference import RunReference
from monitoring.evidently_service.drift.sampling import CELLS, Sampling
from monitoring.evidently_service.drift.verdict import DEFAULT_RULE, DriftRule
from monitoring.evidently_service.quality.estimates import Estimates
from monitoring.evidently_service.quality.outcomes import KnownOutcomes
from monitoring.evidently_service.windows.evaluation import Evaluation, evaluate
from monitoring.evidently_service.windows.rejections import Minutes, Recent
from scorehouse.bundles.bundle import Bundle, Manifest
from scorehouse.stores.store import Document
from scorehouse.usecase import UseCase

log = logging.getLogger(__name__)
STATE_VERSION = 2  # of what `to_json` returns; 1 had no version, and its window no keys


@dataclass(frozen=True, slots=True)
class Drifting:
    """A drifting column: since when (Unix time of the window's newest record), and for how many evaluations."""

    since: float
    evaluations: int


def quality_at_training(manifest: Manifest, bare_share: float) -> dict[str, float]:
    """Return the figures of the test rows, or of their copies without optional fields if most records lack those."""
    bare = "test_required_only_"
    prefix = bare if bare_share > 0.5 else "test_"
    figures = manifest.quality.items()
    return {n.removeprefix(prefix): v for n, v in figures if n.startswith(prefix) and (prefix == bare or bare not in n)}


class Watch:
    """Attributes are replaced as a whole and never changed, because the page reads them in other threads."""

    def __init__(self, bundle: Bundle, use_case: UseCase, rule: DriftRule = DEFAULT_RULE):
        """Start empty.

        Raises:
            BundleError: this code cannot read the run's records.
            CacheUnavailable: the reference cannot be read now; worth another try.
        """
        self.bundle = bundle
        self.rule = rule
        self.columns = RunColumns(bundle, use_case)
        self._reference = RunReference(bundle.reference, self.columns)
        self._estimates = Estimates(bundle.manifest.task, bundle.reference, self.columns)
        self.sampling = Sampling(self.columns.observe([]), rule)
        self.window: Observed = self.sampling.window()
        self.unseen = 0  # subjects since the last evaluation that are new, or come with another record
        self._read_to = 0  # the store's number of the newest prediction
        self.evaluation: Evaluation | None = None
        self.drifting: dict[str, Drifting] = {}
        self.outcomes = KnownOutcomes()
        self.quality: dict[str, float] = {}
        self.minutes = Minutes()
        self.recent = Recent()
        self.traffic_at = 0.0

    @property
    def run_id(self) -> str:
        return self.bundle.manifest.run_id

    @property
    def confirmed(self) -> tuple[str, ...]:
        """The columns for which the alert fires: they drift in enough consecutive evaluations, by the rule."""
        return tuple(n for n, d in self.drifting.items() if d.evaluations >= self.rule.confirmations)

    @property
    def at_training(self) -> dict[str, float]:
        """The figures with which the window's quality is compared."""
        return quality_at_training(self.bundle.manifest, self.evaluation.bare_share if self.evaluation else 0.0)

    def take(self, documents: Sequence[Document]) -> None:
        """Add predictions, in the store's order; those that were taken before change nothing."""
        new = [d for d in documents if d["seq"] > self._read_to]
        if not new:
            return
        keys = self.columns.keys(new)
        times = times_of(new, "created_at")
        candidates = self.sampling.candidates(keys, times)
        observed = self.columns.observe([new[i] for i in candidates])
        self.unseen += self.sampling.count_new(keys) + self.sampling.count_changed(observed)
        self.sampling.take(observed)
        self.window = self.sampling.window()
        self._read_to = new[-1]["seq"]
        self.minutes.take(times)
        self.traffic_at = max(self.traffic_at, float(times.max()))

    def take_outcomes(self, documents: Sequence[Document]) -> None:
        """Set or correct outcomes of this run's predictions, also of old ones."""
        self.outcomes.take(documents)
        self.quality = self.outcomes.quality(self.bundle.manifest.task)
        self.traffic_at = max(self.traffic_at, float(times_of(documents, "outcome_at").max()))

    @property
    def due(self) -> bool:
        """Whether to evaluate: after a step of new records and of time, or once there are first enough for an alarm."""
        if not self.unseen or not len(self.window):
            return False
        before = self.evaluation.verdict.window_rows if self.evaluation else 0
        if before < self.rule.minimum_window <= len(self.window):
            return True
        newest = self.evaluation.newest if self.evaluation else -np.inf
        return self.unseen >= self.rule.step and self.window.times.max() >= newest + self.rule.span / CELLS

    def evaluate(self) -> None:
        """Evaluate the window, and count for how many evaluations each column drifts."""
        self.evaluation = self._evaluate_window()
        self.unseen = 0
        new = Drifting(self.evaluation.newest, 0)
        before = {name: self.drifting.get(name, new) for name in self.evaluation.drifting}
        self.drifting = {name: Drifting(d.since, d.evaluations + 1) for name, d in before.items()}

    def to_json(self) -> dict[str, Any]:
        """Return what a restart needs."""
        return {
            "version": STATE_VERSION,
            "window": self.sampling.held.to_json(),
            "since": self.sampling.since,
            "span": self.rule.span,
            "read_to": self._read_to,
            "unseen": self.unseen,
            "evaluated": self.evaluation is not None,
            "drifting": {name: asdict(d) for name, d in self.drifting.items()},
            "outcomes": self.outcomes.to_json(),
            "minutes": list(self.minutes.counts.items()),
            "traffic_at": self.traffic_at,
        }

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Take the state that `to_json` returned, also that of an earlier release; a later one's is left.

        Evaluating a window again counts nothing twice. After a change of the span, the window covers the time from its
        oldest record on.
        """
        if stored.get("version", 1) > STATE_VERSION:
            log.warning("run %s: a newer release wrote the saved window, so a new window is started", self.run_id)
            return
        held = self.columns.from_json(stored["window"])
        since = stored["since"] if stored.get("span") == self.rule.span else None
        if since is None and len(held):
            since = float(held.times.min())
        self.sampling = Sampling(held, self.rule, since)
        self.window = self.sampling.window()
        self._read_to = stored.get("read_to", int(held.numbers.max(initial=0)))
        self.unseen = stored["unseen"]
        self.traffic_at = stored["traffic_at"]
        self.drifting = {name: Drifting(**d) for name, d in stored["drifting"].items()}
        self.outcomes = KnownOutcomes.from_json(stored["outcomes"])
        self.quality = self.outcomes.quality(self.bundle.manifest.task)
        self.minutes = Minutes(dict(stored["minutes"]))
        if stored["evaluated"]:
            self.evaluation = self._evaluate_window()

    def _evaluate_window(self) -> Evaluation:
        return evaluate(
            self.window, self._reference, self.columns, self._estimates, self.rule, whole=self.sampling.whole
        )
