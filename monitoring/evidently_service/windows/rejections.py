"""The share of a run's recent records that were rejected, and why: doors count them, the monitor reads the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from monitoring.evidently_service.drift.statistics import Floats
from scorehouse.stores.store import Document

MINUTES = 15


@dataclass(frozen=True)
class Recent:
    """Records of the last 15 minutes: scored, rejected, and the reasons for rejection (a record may have several)."""

    scored: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """All records."""
        return self.scored + self.rejected

    @property
    def share(self) -> float:
        """The rejected share, 0..1; 0 without records."""
        return self.rejected / self.records if self.records else 0.0


class Minutes:
    """Scored records by minute of their answer (Unix time // 60)."""

    def __init__(self, counts: Mapping[int, int] | None = None):
        """Start from earlier counts."""
        self.counts = Counter(counts or {})

    def take(self, times: Floats) -> None:
        """Count records answered at `times` (Unix, seconds), and forget minutes that are long past."""
        minutes, counts = np.unique(times // 60, return_counts=True)
        self.counts.update({int(m): int(c) for m, c in zip(minutes, counts, strict=True)})
        newest = max(self.counts, default=0)
        self.counts = Counter({m: c for m, c in self.counts.items() if m > newest - 4 * MINUTES})

    def recent(self, rejected: Iterable[Document], now: float) -> Recent:
        """Return the counts of the 15 minutes up to `now`; `rejected` are the store's counts for this run."""
        first = now // 60 - MINUTES + 1
        reasons: Counter[str] = Counter()
        total = 0
        for document in rejected:
            if document["minute"] >= first:
                total += document["records"]
                reasons.update({r["reason"]: r["records"] for r in document["reasons"]})
        ordered = sorted(reasons.items(), key=lambda reason: (-reason[1], reason[0]))
        return Recent(sum(c for m, c in self.counts.items() if m >= first), total, dict(ordered))
