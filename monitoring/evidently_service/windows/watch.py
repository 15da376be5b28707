"""One watched run: its window, its outcomes, its last evaluation, and since when each column drifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from monitoring.evidently_service.drift.observed import Observed, RunColumns, times_of
from monitoring.evidently_service.drift.reference import RunReference
from monitoring.evidently_service.drift.verdict import DEFAULT_RULE, DriftRule
from monitoring.evidently_service.quality.estimates import Estimates
from monitoring.evidently_service.quality.outcomes import KnownOutcomes
from monitoring.evidently_service.windows.evaluation import Evaluation, evaluate
from monitoring.evidently_service.windows.rejections import Minutes, Recent
from scorehouse.bundles.bundle import Bundle, Manifest
from scorehouse.stores.store import Document
from scorehouse.usecase import UseCase


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
        self.window: Observed = self.columns.observe([])
        self.unseen = 0  # records since the last evaluation
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
        """Add predictions, in the store's order; those that the window already holds change nothing."""
        newest = int(self.window.numbers[-1]) if len(self.window) else 0
        new = [d for d in documents if d["seq"] > newest]
        if not new:
            return
        observed = self.columns.observe(new[-self.rule.window :])
        self.window = self.window.followed_by(observed).since(-self.rule.window)
        self.unseen += len(new)
        times = times_of(new, "created_at")
        self.minutes.take(times)
        self.traffic_at = max(self.traffic_at, float(times.max()))

    def take_outcomes(self, documents: Sequence[Document]) -> None:
        """Set or correct outcomes of this run's predictions, also of old ones."""
        self.outcomes.take(documents)
        self.quality = self.outcomes.quality(self.bundle.manifest.task)
        self.traffic_at = max(self.traffic_at, float(times_of(documents, "outcome_at").max()))

    @property
    def due(self) -> bool:
        """Whether to evaluate: after a step of new records, or once there are first enough for an alarm."""
        before = self.evaluation.verdict.window_rows if self.evaluation else 0
        first = before < self.rule.minimum_window <= len(self.window)
        return bool(self.unseen and len(self.window) and (self.unseen >= self.rule.step or first))

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
            "window": self.window.to_json(),
            "unseen": self.unseen,
            "evaluated": self.evaluation is not None,
            "drifting": {name: asdict(d) for name, d in self.drifting.items()},
            "outcomes": self.outcomes.to_json(),
            "minutes": list(self.minutes.counts.items()),
            "traffic_at": self.traffic_at,
        }

    def restore(self, stored: Mapping[str, Any]) -> None:
        """Take the state that `to_json` returned. Evaluating a window again counts nothing twice."""
        self.window = self.columns.from_json(stored["window"])
        self.unseen = stored["unseen"]
        self.traffic_at = stored["traffic_at"]
        self.drifting = {name: Drifting(**d) for name, d in stored["drifting"].items()}
        self.outcomes = KnownOutcomes.from_json(stored["outcomes"])
        self.quality = self.outcomes.quality(self.bundle.manifest.task)
        self.minutes = Minutes(dict(stored["minutes"]))
        if stored["evaluated"]:
            self.evaluation = self._evaluate_window()

    def _evaluate_window(self) -> Evaluation:
        return evaluate(self.window, self._reference, self.columns, self._estimates, self.rule)
