"""RETRAIN_ON_DRIFT against a real Prefect: the deployment is found, started once; Prefect remembers the cool-down."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import requests

from monitoring.evidently_service.retraining import DEPLOYMENT, TAG, Retraining
from scorehouse.prefect import Prefect, State
from tests.processes import HOST
from tests.toy import ROOT


class Busy(BaseHTTPRequestHandler):
    """Prefect while its database is locked, twice."""

    asked = 0

    def do_GET(self) -> None:
        Busy.asked += 1
        body = b'{"state": {"type": "RUNNING", "name": "Running"}}'
        self.send_response(503 if Busy.asked <= 2 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_busy_prefect_is_asked_again() -> None:
    with HTTPServer((HOST, 0), Busy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert Prefect(f"http://{HOST}:{server.server_port}/api").state("some").type == "RUNNING"
        server.shutdown()
    assert Busy.asked == 3


def test_drift_starts_the_training_deployment_once_per_cool_down(training_environ: dict[str, str]) -> None:
    address = training_environ["PREFECT_API_URL"]
    made = requests.post(f"{address}/work_pools/", json={"name": "scorehouse", "type": "process"}, timeout=30)
    assert made.status_code in {201, 409}, made.text
    command = [sys.executable, "-m", "model_orchestration.apply"]
    environ = {**os.environ, **training_environ}
    subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120, check=True)

    def retraining(cooldown: timedelta) -> Retraining:
        return Retraining("churn", Prefect(address), cooldown, lambda: ("card_category",))

    started = retraining(timedelta(hours=1)).poll()
    flow_run = requests.get(f"{address}/flow_runs/{started}", timeout=30).json()
    assert flow_run["state"]["type"] == "SCHEDULED" and TAG in flow_run["tags"]
    assert flow_run["state"]["message"] == "drift in card_category"
    assert Prefect(address).state(str(started)) == State("SCHEDULED", "drift in card_category")
    assert Prefect(address).last_log_line(str(started)) == ""
    assert retraining(timedelta(hours=1)).poll() is None
    assert Prefect(address).was_started(DEPLOYMENT, TAG, datetime.now(UTC) - timedelta(hours=1))
    assert retraining(timedelta(microseconds=1)).poll() not in {None, started}
