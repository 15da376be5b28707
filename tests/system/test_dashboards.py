"""Every query of every dashboard and rule finds data in a real Prometheus beside the real product under traffic."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import requests

from tests import models, processes
from tests.engines import Engine
from tests.processes import HOST, ROOT, Scorer, until
from tests.prometheus import prometheus
from tests.streams import Outcome, Traffic


def send(scorer: Scorer) -> None:
    """Send enough drifting records for a verdict, their outcomes, single records and invalid ones."""
    records = models.records("churn", 600, seed=5, drift=1.0)
    answered = requests.post(f"{scorer.url}/predict", json=records, timeout=30).json()
    outcomes = [{"prediction_id": a["prediction_id"], "outcome": i % 5 == 0} for i, a in enumerate(answered)]
    requests.post(f"{scorer.url}/outcomes", json=outcomes, timeout=30).raise_for_status()
    for record in records[:20]:
        requests.post(f"{scorer.url}/predict", json=record, timeout=5).raise_for_status()
        assert requests.post(f"{scorer.url}/predict", json={**record, "gender": "X"}, timeout=5).status_code == 422


def run_check(address: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitoring.check_dashboards", address, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)


def test_every_query_of_dashboards_and_rules_finds_data_after_traffic(
    engine: Engine, scorer: Scorer, traffic: Traffic, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    web, shipper = processes.scorer(folder, scorer.environ["RUN_ID"]), processes.shipper(folder)
    monitor = processes.monitor(folder, scorer.environ["RUN_ID"])
    ports = {
        "9696": web.environ["SCORER_PORT"],
        "9697": scorer.environ["STREAM_METRICS_PORT"],
        "9698": shipper.environ["SHIPPER_METRICS_PORT"],
        "8085": monitor.environ["MONITOR_PORT"],
    }
    with (
        processes.running(web, scorer, shipper, monitor),
        prometheus(tmp_path, {usual: int(here) for usual, here in ports.items()}) as server,
    ):
        until(lambda: server.value("sum(up) == 4"), 20, "Prometheus scrapes all four")
        before = run_check(server.address)
        assert before.returncode == 1, "without traffic much is missing"
        assert "scorehouse_quality" in before.stdout
        send(web)
        traffic.put(engine.client(), 150)
        until(lambda: server.value("scorehouse_stream_batch_seconds_count > 0"), 20, "the first batch is seen")
        traffic.put(engine.client(), 150)
        Outcome(engine.client()).wait(traffic, 30)
        after = run_check(server.address, "--wait", "30")
        assert after.returncode == 0, after.stdout + after.stderr


def test_a_prometheus_that_does_not_answer_is_reported_in_one_line() -> None:
    done = run_check(f"http://{HOST}:9")
    assert done.returncode == 1
    assert done.stderr.strip() == f"check_dashboards: Prometheus at http://{HOST}:9 is not responding (ConnectionError)"
