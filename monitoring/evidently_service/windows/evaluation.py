"""Evaluates one window against its run's reference: the verdict, Evidently's figures and the estimated quality."""

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
    """The results for a window. Shares are of its records, 0..1; `unsent` has the optional fields that some lack.

    `bare_share` is the share of records without any optional field.
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
    def drifting(self) -> tuple[str, ...]:
        """The columns that drift; none if the window has too few records or covers too little time."""
        return self.verdict.drifted if self.verdict.alarm else ()

    @property
    def left_out(self) -> tuple[str, ...]:
        """The columns that no record of the window contains."""
        return tuple(name for name, share in self.unsent.items() if share == 1)


def evaluate(
    window: Observed,
    reference: RunReference,
    columns: RunColumns,
    estimates: Estimates,
    rule: DriftRule,
    *,
    whole: bool = True,
) -> Evaluation:
    """Evaluate a window of at least one record; `whole` says whether it covers the rule's span of time."""
    reference_table, window_table = reference.tables(window)
    unsent = 1 - window.sent.mean(axis=0)
    estimate, estimated_records = estimates.estimate(window, reference)
    return Evaluation(
        reference=reference_table,
        window=window_table,
        verdict=judge(reference_table, window_table, rule, whole=whole),
        figures=evidently_figures(reference_table, window_table, rule),
        unsent={name: float(share) for (name, _), share in zip(columns.columns, unsent, strict=True) if share},
        bare_share=float(reference.groups(window)[1].mean()),
        predictions_compared=window_table.columns[PREDICTION].rows if PREDICTION in window_table.columns else 0,
        estimate=estimate,
        estimated_records=estimated_records,
        oldest=float(window.times.min()),
        newest=float(window.times.max()),
    )
