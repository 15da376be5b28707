"""A real Prometheus with the product's own configuration, on the ports of one test."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.processes import HOST, ROOT, answers, free_port, until

FOLDER = ROOT / "monitoring" / "prometheus"
JOBS = {"scorer": "9696", "stream": "9697", "shipper": "9698", "monitor": "8085"}


@contextmanager
def program(name: str, command: list[str], folder: Path, **environ: str) -> Iterator[None]:
    """Run one of Debian's programs during the block; fails where it is missing."""
    assert shutil.which(name), f"{name} is missing: install Debian's packages prometheus and prometheus-alertmanager"
    with (folder / f"{Path(name).name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": "/usr/bin:/bin", **environ})
        try:
            yield
        finally:
            process.terminate()
            process.wait(15)


@dataclass
class Asked:
    """The query interface of the Prometheus at `address`."""

    address: str

    def firing(self, alert: str) -> bool:
        """Return whether an alert fires."""
        return bool(self.value(f'ALERTS{{alertname="{alert}", alertstate="firing"}}'))

    def value(self, query: str) -> list[dict[str, Any]]:
        """Return the samples of a query."""
        reply = requests.get(f"{self.address}/api/v1/query", params={"query": query}, timeout=5).json()
        samples: list[dict[str, Any]] = reply["data"]["result"]
        return samples


@contextmanager
def prometheus(folder: Path, ports: dict[str, int]) -> Iterator[Asked]:
    """Run Prometheus with the product's start script; `ports` are this test's ports by the usual ones."""
    address = f"{HOST}:{free_port()}"
    environ = {
        "PROMETHEUS_FOLDER": str(folder / "prometheus"),
        "PROMETHEUS_TARGETS": " ".join(f"{job}={HOST}:{ports.get(usual, usual)}" for job, usual in JOBS.items()),
        "ALERTMANAGER_TARGET": f"{HOST}:{ports.get('9093', '9093')}",
        "PROMETHEUS_INTERVAL": "1s",
    }
    command = [str(FOLDER / "start.sh"), f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={address}"]
    assert shutil.which("prometheus"), "Prometheus is missing: install Debian's package prometheus"
    with program(command[0], command, folder, **environ):
        api = Asked(f"http://{address}")
        until(lambda: answers(f"{api.address}/-/ready"), 30, "Prometheus is ready")
        yield api
