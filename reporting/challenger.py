"""What a challenger (SHADOW_RUN_ID) would have answered in a window, beside what was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from monitoring.evidently_service.challenger import apart
from scorehouse.bundles.bundle import Bundle
from scorehouse.scoring.quality import Vector, quality
from scorehouse.scoring.schema import Rejected
from scorehouse.scoring.scorer import Scorer
from scorehouse.stores.store import Document
from scorehouse.usecase import UseCase


def beside(
    bundle: Bundle, use_case: UseCase, documents: Sequence[Document], known: Sequence[Document]
) -> dict[str, Any]:
    """Score a window's `documents` by another run's bundle; compare, by `known` outcomes too where there are some.

    Raises:
        BundleError: this code cannot score by that run.
        CacheUnavailable: the bundle cannot be read now; worth another try.
    """
    scorer = bundle.scorer(use_case)
    champion, challenger, _ = _both(scorer, documents)
    *of_known, truth = _both(scorer, known)
    figures: list[Mapping[str, float]] = [quality(bundle.manifest.task, truth, answers) for answers in of_known]
    return {
        "model_run_id": bundle.manifest.run_id,
        "records": len(champion),
        "rejected": len(documents) - len(champion),
        "difference": apart(champion, challenger) if len(champion) else {},
        "outcomes": len(truth),
        "figures": {name: [given.get(name) for given in figures] for name in figures[0]},
    }


def _both(scorer: Scorer, documents: Sequence[Document]) -> tuple[Vector, Vector, Vector]:
    """What was answered, what the challenger answers, and what happened (NaN: not known), where it answers at all."""
    answers = scorer.score([d["record"] for d in documents])
    rows = [
        (d["prediction"], answer, np.nan if d["outcome"] is None else d["outcome"])
        for d, answer in zip(documents, answers, strict=True)
        if not isinstance(answer, Rejected)
    ]
    given, instead, happened = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return given, instead, happened
