"""What a challenger in shadow costs the caller: p99 at 200 requests a second with it and without, in turn.

`python -m benchmarks.shadow` starts MLflow and every door, and the monitor by turns with SHADOW_RUN_ID and without.
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

from tests import engines, servers
from tests import toy as toys
from tests.registered import Mlflow
from tests.streams import create_streams
from tests.system import house as houses
from tests.system.house import House
from tests.toy import until

RATE, SECONDS, PAIRS = 200, 8, int(os.environ.get("PAIRS", "9"))


def p99(house: House, records: list[dict[str, object]]) -> float:
    """Milliseconds of the slowest hundredth of requests, from when each was due."""
    sessions, began, count = local(), time.perf_counter() + 0.2, RATE * SECONDS

    def one(i: int) -> float:
        session = sessions.__dict__.setdefault("session", requests.Session())
        due = began + i / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        session.post(f"{house.scorer.url}/predict", json=records[i % len(records)], timeout=10).raise_for_status()
        return (time.perf_counter() - due) * 1000

    with ThreadPoolExecutor(8) as pool:
        return float(np.percentile(list(pool.map(one, range(count))), 99))


def main() -> None:
    """Measure pairs, and print the medians, and the median of the pairs' ratios."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        toy = toys.train(folder / "toy")
        records = toys.records(toy.use_case, 200)
        engine = engines.ministack(folder / "engine")
        with servers.mlflow(folder / "mlflow").running() as mlflow, engine.running():
            until(lambda: servers.answers(mlflow), 120, "MLflow is well")
            create_streams(engine.client(), 1)
            with houses.running(folder / "data", Mlflow(mlflow.address), engine) as house:
                measure(house, [house.mlflow.with_bundle(toy, folder / "runs") for _ in range(2)], records)


def measure(house: House, runs: list[str], records: list[dict[str, object]]) -> None:
    """Deploy the first run; let the second score in shadow in every other round."""
    assert house.deploy(runs[0]).returncode == 0
    p99(house, records)
    took: dict[str, list[float]] = {"off": [], "on": []}
    for _ in range(PAIRS):
        for state, run_id in (("off", ""), ("on", runs[1])):
            house.monitor.stop()
            house.monitor.environ |= {"SHADOW_RUN_ID": run_id, "SHADOW_SHARE": "1"}
            house.monitor.start()
            until(lambda: houses.alive(house.monitor), 60, "the monitor listens")
            time.sleep(3)
            took[state].append(p99(house, records))
    told = requests.get(f"{house.monitor.url}/metrics", timeout=10).text
    scored = [line for line in told.splitlines() if line.startswith("scorehouse_shadow_records_total{")]
    off, on = (float(np.median(took[state])) for state in ("off", "on"))
    paired = float(np.median([b / a for a, b in zip(took["off"], took["on"], strict=True)]))
    print(f"p99 ms off {[round(t, 2) for t in took['off']]} on {[round(t, 2) for t in took['on']]}")
    print(f"medians: off {off:.2f} ms, on {on:.2f} ms; of the pairs' ratios {paired:.2f} (at most 1.2); {scored}")


if __name__ == "__main__":
    main()
