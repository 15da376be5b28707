"""What a challenger (SHADOW_RUN_ID) would have answered in a window, compared with what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from monitoring.evidently_service.challenger import answer_differences
from scorehouse.bundles.bundle import Bundle
from scorehouse.scoring.figures import Vector
from scorehouse.scoring.quality import quality
from scorehouse.scoring.schema import Rejected
from scorehouse.scoring.scorer import Scorer
from scorehouse.stores.store import Document
from scorehouse.usecase import UseCase


def compare_challenger(
    bundle: Bundle, use_case: UseCase, documents: Sequence[Document], with_outcome: Sequence[Document]
) -> dict[str, Any]:
    """Score a window's `documents` by the challenger's bundle, and judge both by the documents `with_outcome`.

    Raises:
        BundleError: this code cannot score by that run.
        CacheUnavailable: the bundle cannot be read now; worth another try.
    """
    scorer = bundle.scorer(use_case)
    given, instead, _ = _answers(scorer, documents)
    given_known, instead_known, truth = _answers(scorer, with_outcome)
    figures = quality(bundle.manifest.task, truth, given_known)
    figures_instead = quality(bundle.manifest.task, truth, instead_known)
    return {
        "model_run_id": bundle.manifest.run_id,
        "records": len(given),
        "rejected": len(documents) - len(given),
        "difference": answer_differences(given, instead) if len(given) else {},
        "outcomes": len(truth),
        "figures": {name: [value, figures_instead.get(name)] for name, value in figures.items()},
    }


def _answers(scorer: Scorer, documents: Sequence[Document]) -> tuple[Vector, Vector, Vector]:
    """Given answers, the challenger's and outcomes (NaN: not known) of the records that the challenger can score.

    Of several classes, answers are chances, (n, classes).
    """
    answers = scorer.score([d["record"] for d in documents])
    rows = [
        (d["prediction"], answer, np.nan if d["outcome"] is None else d["outcome"])
        for d, answer in zip(documents, answers, strict=True)
        if not isinstance(answer, Rejected)
    ]
    given, instead, outcomes = zip(*rows, strict=True) if rows else ((), (), ())
    return np.array(given, dtype=float), np.array(instead, dtype=float), np.array(outcomes, dtype=float)
