"""One run under watch: its window, its outcomes, since when what drifts, and what its last evaluation said."""

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
    """A column that drifts: since when (Unix time of the window's newest record), in how many evaluations in a row."""

    since: float
    evaluations: int


def quality_at_training(manifest: Manifest, bare_share: float) -> dict[str, float]:
    """Return the test rows' figures; of their copies without optional fields where most records are so."""
    bare, every = "test_required_only_", "test_"
    prefix = bare if bare_share > 0.5 else every
    figures = manifest.quality.items()
    return {n.removeprefix(prefix): v for n, v in figures if n.startswith(prefix) and (prefix == bare or bare not in n)}


class Watch:
    """What the page and the exports read is replaced whole, never changed: they run in other threads."""

    def __init__(self, bundle: Bundle, use_case: UseCase, rule: DriftRule = DEFAULT_RULE):
        """Start empty.

        Raises:
            BundleError: this code cannot read the run's records.
            CacheUnavailable: the reference cannot be read now; worth another try.
        """
        self.bundle, self.rule = bundle, rule
        self.columns = RunColumns(bundle, use_case)
        self._reference = RunReference(bundle.reference, self.columns)
        self._estimates = Estimates(bundle.manifest.task, bundle.reference, self.columns)
        self.window: Observed = self.columns.observe([])
        self.unseen = 0  # records since the last evaluation
        self.evaluation: Evaluation | None = None
        self.drifting: dict[str, Drifting] = {}
        self.outcomes, self.quality = KnownOutcomes(), dict[str, float]()
        self.minutes, self.recent = Minutes(), Recent()
        self.traffic_at = 0.0

    @property
    def run_id(self) -> str:
        """The run."""
        return self.bundle.manifest.run_id

    @property
    def confirmed(self) -> tuple[str, ...]:
        """The columns to notify about: named in enough evaluations in a row."""
        return tuple(n for n, d in self.drifting.items() if d.evaluations >= self.rule.confirmations)

    @property
    def at_training(self) -> dict[str, float]:
        """The figures that the window's quality is held to."""
        return quality_at_training(self.bundle.manifest, self.evaluation.bare_share if self.evaluation else 0.0)

    def take(self, documents: Sequence[Document]) -> None:
        """Add predictions, in the store's order; those that the window has seen already change nothing."""
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
        """Set or correct outcomes of this run's predictions, old ones too."""
        self.outcomes.take(documents)
        self.quality = self.outcomes.quality(self.bundle.manifest.task)
        self.traffic_at = max(self.traffic_at, float(times_of(documents, "outcome_at").max()))

    @property
    def due(self) -> bool:
        """Whether enough is new: a step of records, or as many as first make an alarm possible."""
        before = self.evaluation.verdict.window_rows if self.evaluation else 0
        first = before < self.rule.minimum_window <= len(self.window)
        return bool(self.unseen and len(self.window) and (self.unseen >= self.rule.step or first))

    def evaluate(self) -> None:
        """Evaluate the window, and count for each column that drifts how long it does."""
        self.evaluation = self._evaluated()
        self.unseen = 0
        new = Drifting(self.evaluation.newest, 0)
        before = {name: self.drifting.get(name, new) for name in self.evaluation.named}
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
        """Take what `to_json` returned; an evaluated window is evaluated again, which counts nothing twice."""
        self.window = self.columns.from_json(stored["window"])
        self.unseen, self.traffic_at = stored["unseen"], stored["traffic_at"]
        self.drifting = {name: Drifting(**d) for name, d in stored["drifting"].items()}
        self.outcomes = KnownOutcomes.from_json(stored["outcomes"])
        self.quality = self.outcomes.quality(self.bundle.manifest.task)
        self.minutes = Minutes(dict(stored["minutes"]))
        if stored["evaluated"]:
            self.evaluation = self._evaluated()

    def _evaluated(self) -> Evaluation:
        return evaluate(self.window, self._reference, self.columns, self._estimates, self.rule)
