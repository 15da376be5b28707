"""The known outcomes of one run's predictions, and the quality that they show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scorehouse.scoring.quality import quality
from scorehouse.scoring.scorer import Prediction
from scorehouse.stores.store import Document
from scorehouse.usecase import Task

MOST_OUTCOMES = 2000  # the newest predictions with a known outcome: outcomes come late, so it is a separate window


class KnownOutcomes:
    """The newest predictions with an outcome, by the store's number. A correction replaces; order does not matter."""

    def __init__(self, most: int = MOST_OUTCOMES):
        """Hold none yet."""
        self._most = most
        self._known: dict[int, tuple[float, Prediction]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def take(self, documents: Iterable[Document]) -> None:
        """Set the outcomes of `documents`. If the window is full, the oldest predictions are dropped."""
        self._known |= {d["seq"]: (float(d["outcome"]), d["prediction"]) for d in documents}
        self._known = dict(sorted(self._known.items())[-self._most :])

    def quality(self, task: Task) -> dict[str, float]:
        """Return the task's figures; none without outcomes."""
        pairs = list(self._known.values())
        return quality(task, [outcome for outcome, _ in pairs], [prediction for _, prediction in pairs])

    def to_json(self) -> list[list[Any]]:
        """Return the window for `from_json`."""
        return [[number, *pair] for number, pair in self._known.items()]

    @classmethod
    def from_json(cls, stored: list[list[Any]]) -> KnownOutcomes:
        """Return the window that `to_json` returned."""
        outcomes = cls()
        outcomes._known = {number: (outcome, prediction) for number, outcome, prediction in stored}
        return outcomes
