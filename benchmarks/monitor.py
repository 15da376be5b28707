"""`make bench-monitor`: the highest rate of /predict with a running monitor, beside the rate without one.

Scorer, shipper and monitor share this machine as they do in the demo. The scorer is asked as fast as it answers, so
that the monitor has as much to read as possible. Rounds with and without the monitor take turns.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import requests
from rich.console import Console
from rich.progress import track

from benchmarks.contenders import Contender
from benchmarks.http import load, rate, ratio
from tests import models
from tests.processes import until
from tests.system import running_stack
from tests.system.running_stack import RunningStack

ROUNDS, SECONDS, LEAST = 5, 8, 0.9
console = Console()


def main() -> int:
    """Measure in pairs; return 0 when the monitor costs at most a tenth of the rate."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        toy = models.train(folder / "toy")
        with running_stack.running(folder / "stack") as stack:
            if (done := stack.deploy(stack.mlflow.with_bundle(toy))).returncode:
                sys.exit(done.stderr)
            return measure(stack, models.records("churn", 1)[0], folder)


def measure(stack: RunningStack, record: dict[str, object], work: Path) -> int:
    """Ask without and with the monitor in turn; print, and return 0 when the target is met."""
    port = int(stack.scorer.url.rpartition(":")[2])
    alone, followed = (Contender(name, [], "/predict", record, port=port) for name in ("alone", "followed"))
    load(Contender("warm up", [], "/predict", record, port=port), 16, 2, work)
    watched = []
    for _ in track(range(ROUNDS), "measuring", console=console):
        stack.monitor.stop()
        load(alone, 16, SECONDS, work)
        stack.monitor.start()
        until(lambda: running_stack.alive(stack.monitor), 60, "the monitor listens")
        time.sleep(2)
        before = read(stack)
        load(followed, 16, SECONDS, work)
        watched.append(read(stack) - before)
    value = ratio(followed, alone)
    console.print(
        f"alone {rate(alone):,.0f}/s, followed {rate(followed):,.0f}/s; in its {SECONDS} s the monitor read "
        f"{statistics.median(watched):,.0f} records",
        highlight=False,
    )
    console.print(
        f"{'✓' if value >= LEAST else '✗'} {value:.2f} of the rate without it (at least {LEAST})", highlight=False
    )
    return 0 if value >= LEAST else 1


def read(stack: RunningStack) -> float:
    """Return how many records the monitor has read so far."""
    metrics = requests.get(f"{stack.monitor.url}/metrics", timeout=10).text
    return sum(
        float(line.split()[-1]) for line in metrics.splitlines() if line.startswith("scorehouse_followed_records_total")
    )


if __name__ == "__main__":
    sys.exit(main())
