"""One window against its run's reference: the trusted verdict, Evidently's figures, and what could not be compared."""

from __future__ import annotations

from dataclasses import dataclass

from monitoring.evidently_service.drift.evidently_figures import EvidentlyFigure, evidently_figures
from monitoring.evidently_service.drift.observed import Observed, RunColumns
from monitoring.evidently_service.drift.reference import PREDICTION, RunReference
from monitoring.evidently_service.drift.statistics import Table
from monitoring.evidently_service.drift.verdict import DriftRule, Verdict, judge
from monitoring.evidently_service.quality.estimates import Estimates, Figures


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a window says. Shares are 0..1 of its records; `unsent` has the optional fields that some left out.

    `bare_share` is of the records that carry no optional field at all.
    """

    reference: Table
    window: Table
    verdict: Verdict
    figures: tuple[EvidentlyFigure, ...]
    unsent: dict[str, float]
    bare_share: float
    predictions_compared: int
    estimate: Figures
    estimated_records: int
    oldest: float
    newest: float

    @property
    def named(self) -> tuple[str, ...]:
        """The columns that drift: none in a window under the minimum, so that it agrees with the alarm."""
        return self.verdict.drifted if self.verdict.alarm else ()

    @property
    def left_out(self) -> tuple[str, ...]:
        """The columns that no record of the window carried."""
        return tuple(name for name, share in self.unsent.items() if share == 1)


def evaluate(
    window: Observed, reference: RunReference, columns: RunColumns, estimates: Estimates, rule: DriftRule
) -> Evaluation:
    """Evaluate a window of at least one record."""
    known, seen = reference.tables(window)
    unsent = 1 - window.sent.mean(axis=0)
    estimate, estimated_records = estimates.of(window, reference)
    return Evaluation(
        reference=known,
        window=seen,
        verdict=judge(known, seen, rule),
        figures=evidently_figures(known, seen, rule),
        unsent={name: float(share) for (name, _), share in zip(columns.columns, unsent, strict=True) if share},
        bare_share=float(reference.groups(window)[1].mean()),
        predictions_compared=seen.columns[PREDICTION].rows if PREDICTION in seen.columns else 0,
        estimate=estimate,
        estimated_records=estimated_records,
        oldest=float(window.times.min()),
        newest=float(window.times.max()),
    )
