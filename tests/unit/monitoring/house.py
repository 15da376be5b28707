"""A small house to watch: a use case of four fields, a bundle that needs no training, and a store in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scorehouse.bundles.bundle import Bundle, Manifest, features_json
from scorehouse.bundles.reference import Reference
from scorehouse.errors import RunNotFound, ScorehouseError
from scorehouse.registry.client import Version
from scorehouse.scoring.encoding import Encoder
from scorehouse.stores.store import Added, Document, Identity
from scorehouse.usecase import Estimator, Feature, UseCase

RUN, OTHER = "a" * 32, "b" * 32
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
FEATURES = (
    Feature(name="limit", kind="number", help="Limit", required=True, low=0),
    Feature(name="months", kind="integer", help="Months", required=True, low=0),
    Feature(name="card", kind="category", help="Card", required=True, categories=("blue", "silver", "gold")),
    Feature(name="spent", kind="number", help="Spent", low=0),
)


def _sample(rows: int, seed: int, drift: float) -> Mapping[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "limit": rng.lognormal(8, 1, rows) * (1 - 0.5 * drift),
        "months": rng.normal(36, 8, rows).clip(0).round(),
        "card": rng.choice(np.array(["blue", "silver", "gold"], dtype=object), rows, p=[0.9, 0.08, 0.02]),
        "spent": rng.gamma(2, 300, rows),
    }


def _clean(table: pd.DataFrame) -> pd.DataFrame:
    return table


USE_CASE = UseCase(
    name="house",
    version=1,
    title="Will it stand?",
    about="",
    source="",
    features=FEATURES,
    target="fell",
    task="binary",
    answer="chance",
    key="id",
    clean=_clean,
    sample=_sample,
    estimators=(Estimator(family="xgboost", space={}),),
    rank_by="log_loss",
    mask_optional=0.3,
)


def records(count: int, seed: int = 1, drift: float = 0.0) -> list[dict[str, Any]]:
    """Valid records; drift halves the limit."""
    columns = {name: values.tolist() for name, values in _sample(count, seed, drift).items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def score(record: Mapping[str, Any]) -> float:
    """The model: spread out where it knows what was spent, close to the middle where it does not."""
    spread = 1.0 if record.get("spent") is not None else 0.2
    middle = 0.5 if record.get("spent") is None else min(record["spent"] / 2000, 0.95)
    return float(0.3 * (1 - spread) + spread * middle)


def documents(of: Sequence[Mapping[str, Any]], first: int = 1, run: str = RUN, at: float = NOON) -> list[Document]:
    """Predictions as a store returns them: numbered from `first`, a second apart."""
    return [
        {
            "seq": first + i,
            "prediction_id": f"p{first + i}",
            "use_case": USE_CASE.name,
            "model_run_id": run,
            "created_at": datetime.fromtimestamp(at + i, UTC).isoformat(),
            "door": "http",
            "record": dict(record),
            "prediction": score(record),
            "outcome": None,
            "outcome_at": None,
            "outcome_seq": None,
        }
        for i, record in enumerate(of)
    ]


def bundle(run: str = RUN, version: int = 1) -> Bundle:
    """A run's bundle with 3,000 reference rows; it holds no model, for none is asked."""
    encoder = Encoder.of(FEATURES)
    known = records(3000, seed=0)
    bare = [{k: v for k, v in r.items() if k != "spent"} for r in known]
    scores, bare_scores = (np.array([score(r) for r in side]) for side in (known, bare))
    truth = (np.random.default_rng(5).random(3000) < scores).astype(float)
    described = {
        **dict.fromkeys(("title", "about", "source", "data", "data_hash"), ""),
        "run_id": run,
        "use_case": USE_CASE.name,
        "use_case_version": version,
        "task": "binary",
        "answer": "chance",
        "created_at": datetime(2026, 11, 1, tzinfo=UTC),
        "commit": "0" * 40,
        "family": "xgboost",
        "features": features_json(FEATURES),
        "columns": encoder.to_json(),
        "output": {"name": "p"},
        "quality": {"test_auc": 0.8, "test_required_only_auc": 0.6},
        "rows": {"test": 500},
        "libraries": {},
        "parameters": {},
    }
    manifest = Manifest.model_validate(described)
    made = Bundle(Path("none"), manifest, "")
    made.__dict__["reference"] = Reference(encoder.rows(known), scores, truth, scores[:16], bare_scores)
    return made


class FakeStore:
    """Predictions, outcomes and counts in lists."""

    def __init__(self) -> None:
        self.predictions: list[Document] = []
        self.rejected: list[Document] = []
        self.waiting = 0
        self.fails: ScorehouseError | None = None
        self.store_id = os.urandom(16).hex()

    def identity(self) -> Identity:
        """Its id, and the last number."""
        if self.fails:
            raise self.fails
        return Identity(self.store_id, max([p["seq"] for p in self.predictions], default=0))

    def add(self, predictions: Sequence[Document]) -> Added:
        """Append documents that are numbered already."""
        self.predictions += predictions
        return Added(len(predictions), [])

    def set_outcomes(self, numbers: Sequence[int], outcome: float, at: float = NOON) -> None:
        """Set or correct outcomes by the predictions' numbers."""
        last = max([p["outcome_seq"] or 0 for p in self.predictions], default=0)
        by_number = {p["seq"]: p for p in self.predictions}
        for i, number in enumerate(numbers, 1):
            when = datetime.fromtimestamp(at, UTC).isoformat()
            by_number[number] |= {"outcome": outcome, "outcome_at": when, "outcome_seq": last + i}

    def add_outcomes(self, outcomes: Sequence[Document]) -> None:
        """Tests number outcomes themselves, by `set_outcomes`."""
        raise AssertionError("no test of the monitor adds outcomes through the store")

    def predictions_after(self, use_case: str, seq: int, limit: int) -> list[Document]:
        """By number."""
        if self.fails:
            raise self.fails
        return [dict(p) for p in self.predictions if p["seq"] > seq][:limit]

    def outcomes_after(self, use_case: str, outcome_seq: int, limit: int) -> list[Document]:
        """By the outcomes' number."""
        known = [p for p in self.predictions if (p["outcome_seq"] or 0) > outcome_seq]
        return [dict(p) for p in sorted(known, key=lambda p: int(p["outcome_seq"]))][:limit]

    def waiting_outcomes(self) -> int:
        """As set."""
        return self.waiting

    def add_rejected(self, counts: Sequence[Document]) -> None:
        """Append."""
        self.rejected += counts

    def rejected_since(self, use_case: str, minute: int) -> list[Document]:
        """By minute."""
        return [c for c in self.rejected if c["minute"] >= minute]


class FakeCache:
    """Bundles by run; a run it does not know is RunNotFound, `fails` is raised instead of any answer."""

    def __init__(self, *runs: str) -> None:
        self.bundles = {run: bundle(run) for run in runs or (RUN,)}
        self.fails: ScorehouseError | None = None

    def resolve(self, use_case: str, wanted: str) -> Version:
        """The run itself."""
        if self.fails:
            raise self.fails
        if wanted not in self.bundles:
            raise RunNotFound(f"no run {wanted}")
        return Version("1", wanted, None)

    def load(self, version: Version) -> Bundle:
        """Its bundle."""
        return self.bundles[version.run_id]
