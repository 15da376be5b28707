"""`make bench-search`: 50 trials beside a plain loop over the same parameters, and what logging a trial costs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import requests
import xgboost as xgb
from rich.console import Console

from demo.processes import write_ahead
from model_orchestration.estimators.boosting import LIMITS
from model_orchestration.tables.training_table import TRAIN, prepare
from model_orchestration.tracking.runs import Tracking
from model_orchestration.training.search import Trial
from model_orchestration.training.training import Training
from scorehouse.usecase import load_use_case
from tests import toy

TRIALS, PLAIN_TRIALS = 50, 10  # the plain loop is timed over a fifth of its trials: it takes minutes
console = Console()


def searched(training: Training) -> tuple[float, list[Trial]]:
    """Return the seconds of a whole search, two trials at a time, one thread each; and its trials."""
    began = time.perf_counter()
    trials = list(training.search(TRIALS))
    return time.perf_counter() - began, trials


def plain(training: Training, trials: list[Trial]) -> float:
    """Return the seconds that the same parameters take one after the other: a new matrix and all rounds each time."""
    data = training.data(training.split == TRAIN)
    fixed = {"tree_method": "hist", "nthread": 1, **training.use_case.estimators[0].fixed}
    chosen = trials[:: TRIALS // PLAIN_TRIALS]
    began = time.perf_counter()
    for trial in chosen:
        parameters = {k: v for k, v in trial.model.parameters.items() if k != "rounds"}
        xgb.train({**fixed, **parameters}, xgb.DMatrix(data.rows, data.truth, weight=data.weights), LIMITS["rounds"])
    return (time.perf_counter() - began) * TRIALS / len(chosen)


def logging(training: Training, trials: list[Trial]) -> float:
    """Return the median milliseconds of logging a trial to a real MLflow on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        port = toy.free_port()
        write_ahead(Path(folder) / "mlflow.db")  # as the demo does
        command = [
            "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--serve-artifacts",
            "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts",
        ]  # fmt: skip
        env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true",
               "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}  # fmt: skip
        server = subprocess.Popen(
            command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            toy.until(lambda: _answers(port), 120, "MLflow is up")
            tracking = Tracking(f"http://127.0.0.1:{port}", training.use_case, training.table)
            return statistics.median(_milliseconds(tracking, trial) for trial in trials)
        finally:
            os.killpg(server.pid, 15)
            server.wait(30)


def _milliseconds(tracking: Tracking, trial: Trial) -> float:
    began = time.perf_counter()
    tracking.log_trial(trial)
    return (time.perf_counter() - began) * 1000


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=1).ok
    except requests.RequestException:
        return False


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
