"""`make bench-search`: 50 trials beside a plain loop over the same parameters, and the cost of logging a trial."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import xgboost as xgb
from rich.console import Console

from demo.processes import write_ahead
from model_orchestration.estimators.boosting import LIMITS
from model_orchestration.tables.training_table import TRAIN, prepare
from model_orchestration.tracking.runs import Tracking
from model_orchestration.training.search import Trial
from model_orchestration.training.training import Training
from scorehouse.pages.loading import load_use_case
from tests import servers

TRIALS, PLAIN_TRIALS = 50, 10  # of the plain loop, which takes minutes, only a fifth is timed
console = Console()


def searched(training: Training) -> tuple[float, list[Trial]]:
    """Return the seconds of a whole search (two trials at a time, one thread each) and its trials."""
    began = time.perf_counter()
    trials = list(training.search(TRIALS))
    return time.perf_counter() - began, trials


def plain(training: Training, trials: list[Trial]) -> float:
    """Return the seconds of the same parameters one after the other, each with a new matrix and all rounds."""
    data = training.data(training.split == TRAIN)
    fixed = {"tree_method": "hist", "nthread": 1, **training.use_case.estimators[0].fixed}
    chosen = trials[:: TRIALS // PLAIN_TRIALS]
    began = time.perf_counter()
    for trial in chosen:
        parameters = {k: v for k, v in trial.parameters.items() if k != "rounds"}
        xgb.train({**fixed, **parameters}, xgb.DMatrix(data.rows, data.truth, weight=data.weights), LIMITS["rounds"])
    return (time.perf_counter() - began) * TRIALS / len(chosen)


def logging(training: Training, trials: list[Trial]) -> float:
    """Return the median milliseconds of logging a trial to a real MLflow on this machine."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_ahead(folder / "mlflow.db")  # as the demo does
        with servers.mlflow(folder).running() as server:
            tracking = Tracking(server.address, training.use_case, training.table)
            return statistics.median(_milliseconds(tracking, trial) for trial in trials)


def _milliseconds(tracking: Tracking, trial: Trial) -> float:
    began = time.perf_counter()
    tracking.log_trial(trial)
    return (time.perf_counter() - began) * 1000


def main() -> int:
    """Measure in turn, print, and return 0 when both targets are met."""
    case = load_use_case("churn")
    training = Training(case, prepare(pd.DataFrame(case.sample(10_000, 1, 0.0)), case))
    pairs = []
    for _ in range(3):
        seconds, trials = searched(training)
        pairs.append((seconds, plain(training, trials)))
        console.print(f"search {pairs[-1][0]:6.1f} s   plain loop {pairs[-1][1]:6.1f} s", highlight=False)
    share, cost = statistics.median(a / b for a, b in pairs), logging(training, trials)
    console.print(f"{'✓' if share <= 0.3 else '✗'} {share:.2f} of the plain loop's time (at most 0.3)", highlight=False)
    console.print(f"{'✓' if cost <= 40 else '✗'} {cost:.0f} ms to log a trial (at most 40)", highlight=False)
    return 0 if share <= 0.3 and cost <= 40 else 1


if __name__ == "__main__":
    sys.exit(main())
