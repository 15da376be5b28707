"""Trains on a table as its page says, and gets a held-out row answered by the HTTP door's application.

`python -m benchmarks.use_case_model PAGE TABLE TRIALS`, in a folder that has use_cases/PAGE.py. The last line of its
output says in JSON what came out.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson

import use_cases
from benchmarks.quality import constant
from model_orchestration.tables.sufficiency import require_enough
from model_orchestration.tables.training_table import TEST, prepare, read_table
from model_orchestration.training.bundling import write_bundle
from model_orchestration.training.training import Trained, Training
from scorehouse.bundles import bundle
from scorehouse.errors import ScorehouseError
from scorehouse.pages.loading import load_use_case
from scorehouse.scoring.figures import figure_label
from scorehouse.scoring.quality import quality_by
from scorehouse.serving.serving import Model
from scorehouse.usecase import UseCase
from tests import doors


def main(page: str, table: str, trials: int) -> None:
    """Train, answer and print."""
    use_cases.__path__.append(str(Path("use_cases").resolve()))  # type: ignore[attr-defined]
    try:
        case = load_use_case(page)
        ready = prepare(read_table(table, case), case, table)
        require_enough(ready, case, 0)
        training = Training(case, ready)
        trained = training.retrain(training.best(list(training.search(trials)), 1)[0])
        answer = first_answer(case, training, trained)
    except ScorehouseError as error:
        sys.exit(f"training: {error}")
    print(json.dumps({
        "rows": len(ready.truth), "columns": len(case.columns), "task": case.task, "answer": answer,
        "figure": figure(case, training, trained),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }))  # fmt: skip


def figure(case: UseCase, training: Training, trained: Trained) -> str:
    """Return the figure of the test rows in words, beside that of always giving the best constant answer."""
    label = figure_label(case.rank_by)
    own = trained.quality[f"test_{case.rank_by}"]
    same = constant(case, training.table.truth[training.split != TEST])
    always = np.repeat(same, len(trained.test_truth), axis=0)
    guess = quality_by(case.rank_by, case.task, trained.test_truth, always)
    return f"{label} {own:,.4g}" + ("" if guess is None else f" ({guess:,.4g} without a model)")


def first_answer(case: UseCase, training: Training, trained: Trained) -> object:
    """Return what the HTTP door answers to the first held-out row. Raises RuntimeError if it does not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bundle"
        run_id = "0" * 32
        digest = write_bundle(path, run_id, training, trained, "0" * 40, datetime.now(UTC))
        loaded = bundle.load(path, digest)
        door = doors.empty_door(case, Path(folder))
        door.serving.model = Model(loaded, loaded.scorer(case))
        row = int(np.flatnonzero(training.split == TEST)[0])
        response = door.client.post(
            "/predict", data=orjson.dumps(training.table.records[row]), content_type="application/json"
        )
        if response.status_code != 200:
            raise RuntimeError(f"the door answers {response.status_code}: {response.text}")
        return response.json[case.answer]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
