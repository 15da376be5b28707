"""A small real model trained by the product's own path in this process; `python -m tests.toy` does it for others.

Only tests that look into the model import this: the system tests run it as a process (tests/models.py).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from scorehouse.bundles import bundle
from scorehouse.pages.loading import load_use_case
from scorehouse.usecase import UseCase
from tests import signing
from tests.models import OTHER_RUN_ID, RUN_ID, Model, cache_in
from tests.processes import HOST, ROOT, Scorer, Service, free_port, running, scorer, shipper, until

if TYPE_CHECKING:  # training takes seconds to import, and most tests need none
    from model_orchestration.tables.training_table import TrainingTable
    from model_orchestration.training.training import Trained, Training

__all__ = [
    "HOST", "OTHER_RUN_ID", "ROOT", "RUN_ID", "Scorer", "Service", "Toy", "cache_in", "free_port", "records",
    "running", "scorer", "shipper", "table", "train", "until",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Toy(Model):
    """A trained model, its bundle on disk, and what trained it."""

    use_case: UseCase
    training: Training
    trained: Trained

    def bundle(self) -> bundle.Bundle:
        """Return the bundle, verified."""
        return bundle.load(self.folder, self.digest)


def train(folder: Path, run_id: str = RUN_ID, use_case: str = "churn", rows: int = 800, trials: int = 2) -> Toy:
    """Train on sample rows and write the bundle of `run_id` into `folder`: what the flow does, without MLflow."""
    from model_orchestration.training.bundling import write_bundle
    from model_orchestration.training.training import Training

    case = load_use_case(use_case)
    training = Training(case, table(case, rows))
    trained = training.retrain(training.best(list(training.search(trials)), 1)[0])
    digest = write_bundle(folder, run_id, training, trained, "0" * 40, datetime(2026, 1, 1, tzinfo=UTC))
    (folder / signing.SIGNATURE).write_text(signing.signature(run_id, digest, use_case, case.version))
    return Toy(folder, digest, case, training, trained)


def records(use_case: UseCase, count: int, seed: int = 7, drift: float = 0.0) -> list[dict[str, Any]]:
    """Return `count` valid records of the use case's own sample."""
    return table(use_case, count, seed, drift).records


def table(use_case: UseCase, rows: int, seed: int = 1, drift: float = 0.0) -> TrainingTable:
    """Return a checked table of the use case's own sample."""
    import pandas as pd

    from model_orchestration.tables.training_table import prepare

    return prepare(pd.DataFrame(use_case.sample(rows, seed, drift)), use_case)


def main(command: str, *arguments: str) -> None:
    """Train and print the bundle's digest, or print records as JSON."""
    if command == "train":
        folder, run_id, use_case, rows, trials = arguments
        output = train(Path(folder), run_id, use_case, int(rows), int(trials)).digest
    else:
        use_case, count, seed, drift = arguments
        output = orjson.dumps(records(load_use_case(use_case), int(count), int(seed), float(drift))).decode()
    sys.stdout.write(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
