"""With real Prometheus and Alertmanager, drifting traffic fires the alert and usual traffic resolves it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import orjson
import pytest
import requests

from tests import models, processes
from tests.models import Model
from tests.processes import HOST, ROOT, Scorer, free_port, until
from tests.prometheus import Asked, program, prometheus

ALERTMANAGER = ROOT / "monitoring" / "alertmanager" / "start.sh"


class Webhook(ThreadingHTTPServer):
    """Keeps the alerts that it receives, as (name, status)."""

    def __init__(self) -> None:
        received: list[tuple[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
                received.extend((alert["labels"]["alertname"], alert["status"]) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Keep the output of the tests quiet."""

        super().__init__((HOST, 0), Handler)
        self.received = received


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    server = Webhook()
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@dataclass
class Services:
    """Scorer, shipper and monitor; `ports` maps the usual ports to those in use."""

    scorer: Scorer
    ports: dict[str, int]
    sent: int = 0

    def post(self, seed: int, drift: float) -> None:
        """Send two windows of traffic in parts; the monitor reads each part before the next, so it evaluates often."""
        records = models.records("churn", 1000, seed=seed, drift=drift)
        for start in range(0, len(records), 250):
            part = records[start : start + 250]
            requests.post(f"{self.scorer.url}/predict", json=part, timeout=30).raise_for_status()
            self.sent += len(part)
            until(self._read, 30, "the monitor has read what was sent")

    def _read(self) -> bool:
        text = requests.get(f"http://{HOST}:{self.ports['8085']}/metrics", timeout=5).text
        return f'scorehouse_followed_records_total{{dataset_name="churn"}} {self.sent:.1f}\n' in text


@contextmanager
def services(folder: Path, toy: Model) -> Iterator[Services]:
    """Start scorer, shipper and monitor; stop them at the end."""
    run_id = models.cache_in(folder, toy)
    scorer, shipper = processes.scorer(folder, run_id), processes.shipper(folder)
    monitor = processes.monitor(folder, run_id)
    ports = {
        "9696": scorer.environ["SCORER_PORT"],
        "9698": shipper.environ["SHIPPER_METRICS_PORT"],
        "8085": monitor.environ["MONITOR_PORT"],
    }
    with processes.running(scorer, shipper, monitor):
        yield Services(scorer, {usual: int(here) for usual, here in ports.items()})


@contextmanager
def alerting(folder: Path, ports: dict[str, int], webhook: Webhook) -> Iterator[Asked]:
    """Prometheus with the product's rules, and Alertmanager with the product's start script."""
    port = free_port()
    script = [str(ALERTMANAGER), f"--storage.path={folder}", "--cluster.listen-address="]
    environ = {
        "ALERTMANAGER": "prometheus-alertmanager",
        "ALERTMANAGER_CONFIG": str(folder / "alertmanager.yml"),
        "ALERT_WEBHOOK_URL": f"http://{HOST}:{webhook.server_port}/",
        "ALERT_GROUP_WAIT": "1s",
        "ALERT_GROUP_INTERVAL": "2s",
    }
    command = [*script, f"--web.listen-address={HOST}:{port}"]
    with (
        prometheus(folder, {**ports, "9093": port}) as asked,
        program("prometheus-alertmanager", command, folder, **environ),
    ):
        yield asked


def test_the_webhook_receives_drift_and_its_end(toy: Model, webhook: Webhook, tmp_path: Path) -> None:
    with services(tmp_path, toy) as running, alerting(tmp_path, running.ports, webhook) as server:
        running.post(seed=31, drift=0.0)
        until(lambda: server.value("scorehouse_window_records == 500"), 40, "Prometheus has the monitor's window")
        assert not server.firing("DriftDetected")
        running.post(seed=32, drift=1.0)
        until(lambda: server.firing("DriftDetected"), 40, "drifting traffic fires")
        until(lambda: ("DriftDetected", "firing") in webhook.received, 20, "the webhook receives the alert")
        running.post(seed=33, drift=0.0)
        until(lambda: not server.firing("DriftDetected"), 40, "usual traffic resolves it")
        until(lambda: ("DriftDetected", "resolved") in webhook.received, 30, "the webhook receives its end")
        for job in ("scorer", "shipper", "monitor"):
            assert server.value(f'up{{job="{job}"}} == 1'), f"{job} is scraped"
        assert server.value('evidently:data_drift:p_value{feature="gender", feature_type="cat"}')
        assert server.value("scorehouse:http_seconds:p99_5m")
