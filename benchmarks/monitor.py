"""`make bench-monitor`: what /predict answers at most while the monitor follows, beside what it answers without one.

Scorer, shipper and monitor share this machine as they do in the demo; the scorer is asked as fast as it answers, so
that the monitor has all it can read. Rounds with and without it take turns.
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
from tests import engines, servers
from tests import toy as toys
from tests.registered import Mlflow
from tests.streams import create_streams
from tests.system import house as houses
from tests.system.house import House
from tests.toy import until

ROUNDS, SECONDS, LEAST = 5, 8, 0.9
console = Console()


def main() -> int:
    """Measure in pairs; return 0 when the monitor costs at most a tenth."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        toy = toys.train(folder / "toy")
        engine = engines.ministack(folder / "engine")
        with servers.mlflow(folder / "mlflow").running() as mlflow, engine.running():
            until(lambda: servers.answers(mlflow), servers.START_SECONDS, "MLflow is well")
            create_streams(engine.client(), 1)
            with houses.running(folder / "data", Mlflow(mlflow.address), engine) as house:
                run_id = house.mlflow.with_bundle(toy, folder / "runs")
                if (done := house.deploy(run_id)).returncode:
                    sys.exit(done.stderr)
                return measured(house, toys.records(toy.use_case, 1)[0], folder)


def measured(house: House, record: dict[str, object], work: Path) -> int:
    """Ask with the monitor and without it, in turn."""
    port = int(house.scorer.url.rpartition(":")[2])
    alone, followed = (Contender(name, [], "/predict", record, port=port) for name in ("alone", "followed"))
    load(Contender("warm up", [], "/predict", record, port=port), 16, 2, work)
    watched = []
    for _ in track(range(ROUNDS), "measuring", console=console):
        house.monitor.stop()
        load(alone, 16, SECONDS, work)
        house.monitor.start()
        until(lambda: houses.alive(house.monitor), 60, "the monitor listens")
        time.sleep(2)
        before = read(house)
        load(followed, 16, SECONDS, work)
        watched.append(read(house) - before)
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


def read(house: House) -> float:
    """Return how many records the monitor has read so far."""
    told = requests.get(f"{house.monitor.url}/metrics", timeout=10).text
    return sum(
        float(line.split()[-1]) for line in told.splitlines() if line.startswith("scorehouse_followed_records_total")
    )


if __name__ == "__main__":
    sys.exit(main())
