"""`make bench-shadow`: what a challenger in shadow costs the caller, as p99 at 200 requests a second.

Starts MLflow and every door, and the monitor in turn with and without SHADOW_RUN_ID.
"""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local

import numpy as np
import requests

from tests import models
from tests.processes import until
from tests.system import running_stack
from tests.system.running_stack import RunningStack

RATE, SECONDS, PAIRS = 200, 8, int(os.environ.get("PAIRS", "9"))


def p99(stack: RunningStack, records: list[dict[str, object]]) -> float:
    """Return the 99th percentile of the milliseconds from when a request was due until its answer."""
    sessions, began, count = local(), time.perf_counter() + 0.2, RATE * SECONDS

    def one(i: int) -> float:
        session = sessions.__dict__.setdefault("session", requests.Session())
        due = began + i / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        session.post(f"{stack.scorer.url}/predict", json=records[i % len(records)], timeout=10).raise_for_status()
        return (time.perf_counter() - due) * 1000

    with ThreadPoolExecutor(8) as pool:
        return float(np.percentile(list(pool.map(one, range(count))), 99))


def main() -> None:
    """Measure pairs; print the medians and the median of the pairs' ratios."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        toy = models.train(folder / "toy")
        with running_stack.running(folder / "stack") as stack:
            measure(stack, [stack.mlflow.with_bundle(toy) for _ in range(2)], models.records("churn", 200))


def measure(stack: RunningStack, runs: list[str], records: list[dict[str, object]]) -> None:
    """Deploy the first run, and let the second score in shadow in every other round."""
    assert stack.deploy(runs[0]).returncode == 0
    p99(stack, records)
    took: dict[str, list[float]] = {"off": [], "on": []}
    for _ in range(PAIRS):
        for state, run_id in (("off", ""), ("on", runs[1])):
            stack.monitor.stop()
            stack.monitor.environ |= {"SHADOW_RUN_ID": run_id, "SHADOW_SHARE": "1"}
            stack.monitor.start()
            until(lambda: running_stack.alive(stack.monitor), 60, "the monitor listens")
            time.sleep(3)
            took[state].append(p99(stack, records))
    metrics = requests.get(f"{stack.monitor.url}/metrics", timeout=10).text
    scored = [line for line in metrics.splitlines() if line.startswith("scorehouse_shadow_records_total{")]
    off, on = (float(np.median(took[state])) for state in ("off", "on"))
    paired = float(np.median([b / a for a, b in zip(took["off"], took["on"], strict=True)]))
    print(f"p99 ms off {[round(t, 2) for t in took['off']]} on {[round(t, 2) for t in took['on']]}")
    print(f"medians: off {off:.2f} ms, on {on:.2f} ms; of the pairs' ratios {paired:.2f} (at most 1.2); {scored}")


if __name__ == "__main__":
    main()
