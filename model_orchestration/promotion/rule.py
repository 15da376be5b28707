"""The rule by which a challenger wins an alias: better by a margin, and surely so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from model_orchestration.tables.windows import USES
from scorehouse.registry.client import Version
from scorehouse.scoring.quality import better
from scorehouse.usecase import UseCase

RESAMPLES = 1_000  # sets of rows, drawn with replacement


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version with its predictions for the held-out rows, (n,), and its figures; or why it has none (`problem`)."""

    version: Version
    predictions: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    figures: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """`metric` must be better by the share `margin` of the holder's, and better on a share `sure` of resamples."""

    metric: str
    margin: float
    sure: float

    @classmethod
    def of(cls, use_case: UseCase, confidence: float) -> Self:
        """Return the use case's rule. `confidence` is for all uses of a window together (Bonferroni's correction)."""
        return cls(use_case.promote_by or use_case.rank_by, use_case.promote_margin, 1 - (1 - confidence) / USES)

    def passes_margin(self, ours: float | None, theirs: float | None) -> bool:
        """Return whether the challenger's figure is better than the holder's by the margin; no, if one is undefined."""
        if ours is None or theirs is None or not better(self.metric, ours, theirs):
            return False
        return abs(ours - theirs) >= self.margin * abs(theirs)


def choose_alias(
    rule: Rule, challenger: Candidate, holders: Mapping[str, Candidate | None], win_shares: Mapping[str, float]
) -> str | None:
    """Return the best alias that `challenger` wins; None if it wins none or already has the best it can.

    Without a holder, and with one that cannot be compared, there is nothing to beat.
    """
    for alias, holder in holders.items():
        if holder is not None and holder.version == challenger.version:
            return None
        if holder is None or holder.problem:
            return alias
        ours, theirs = challenger.figures[rule.metric], holder.figures[rule.metric]
        if rule.passes_margin(ours, theirs) and win_shares.get(alias, 0.0) >= rule.sure:
            return alias
    return None
