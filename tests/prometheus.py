"""Real Prometheus beside the real house: the product's own configuration, on this test's ports."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests import toy as toys
from tests.toy import HOST, ROOT

FOLDER = ROOT / "monitoring" / "prometheus"
JOBS = {"scorer": "9696", "stream": "9697", "shipper": "9698", "monitor": "8085"}


@contextmanager
def program(name: str, command: list[str], folder: Path, **environ: str) -> Iterator[None]:
    """One of Debian's programs, until the end; fails where it is missing."""
    assert shutil.which(name), f"{name} is missing: install Debian's packages prometheus and prometheus-alertmanager"
    with (folder / f"{Path(name).name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": "/usr/bin:/bin", **environ})
        try:
            yield
        finally:
            process.terminate()
            process.wait(15)


def answers(address: str) -> bool:
    """Say whether an address answers 200."""
    try:
        return requests.get(address, timeout=5).ok
    except requests.ConnectionError:
        return False


@dataclass
class Asked:
    """Prometheus's interface at `address`."""

    address: str

    def firing(self, alert: str) -> bool:
        """Whether an alert fires."""
        return bool(self.value(f'ALERTS{{alertname="{alert}", alertstate="firing"}}'))

    def value(self, query: str) -> list[dict[str, Any]]:
        """What a query finds."""
        reply = requests.get(f"{self.address}/api/v1/query", params={"query": query}, timeout=5).json()
        found: list[dict[str, Any]] = reply["data"]["result"]
        return found


@contextmanager
def prometheus(folder: Path, ports: dict[str, int]) -> Iterator[Asked]:
    """Prometheus with the product's rules, ready to be asked; `ports` of this test by the usual ones."""
    address = f"{HOST}:{toys.free_port()}"
    environ = {
        "PROMETHEUS_FOLDER": str(folder / "prometheus"),
        "PROMETHEUS_TARGETS": " ".join(f"{job}={HOST}:{ports.get(usual, usual)}" for job, usual in JOBS.items()),
        "ALERTMANAGER_TARGET": f"{HOST}:{ports.get('9093', '9093')}",
        "PROMETHEUS_INTERVAL": "1s",
    }
    command = [str(FOLDER / "start.sh"), f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={address}"]
    assert shutil.which("prometheus"), "Prometheus is missing: install Debian's package prometheus"
    with program(command[0], command, folder, **environ):
        asked = Asked(f"http://{address}")
        toys.until(lambda: answers(f"{asked.address}/-/ready"), 30, "Prometheus is ready")
        yield asked
