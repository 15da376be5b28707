"""A stack of its own for these tests: project, address, env file, tags, and functions that inspect its containers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).parents[3]
# Another loopback address than the default one, so that a stack or a demo on this machine is not disturbed.
HOST = os.environ.get("COMPOSE_TEST_HOST", "127.0.0.2")
# The address of another Kinesis and S3, which containers can reach, with COMPOSE_TEST_PROFILES=simulators: the
# stack's own emulator takes only some sixty records a second while everything runs on two cores.
ELSEWHERE = os.environ.get("COMPOSE_TEST_EMULATOR", "")
EMULATOR = ELSEWHERE or f"http://{HOST}:4566"
TRIALS = 4
FILES = ("docker-compose-model-registry.yml", "docker-compose-serve.yml")
RECORD = {
    "customer_age": 50, "gender": "M", "dependent_count": 2, "education_level": 3, "marital_status": "married",
    "income_category": 2, "card_category": "blue", "months_on_book": 4, "total_relationship_count": 3,
    "credit_limit": 4000, "total_revolving_bal": 2511,
}  # fmt: skip
# What differs from .env.local: a small training, drift judged without a day of traffic, and no Grafana (its image is
# not available everywhere).
OWN = {
    "COMPOSE_PROJECT_NAME": "scorehouse-test", "TAG": "test", "TRIALS": str(TRIALS), "RUN_ID": "", "COMMIT": "test",
    "DRIFT_WINDOW_HOURS": "0",
    "BIND_ADDRESS": HOST, "CLOUD_ADDRESS": HOST, "SERVE_ADDRESS": HOST, "KINESIS_ADDRESS": EMULATOR,
    "S3_ADDRESS": EMULATOR,
    "COMPOSE_PROFILES": os.environ.get("COMPOSE_TEST_PROFILES", "emulator,simulators"),
} | ({"AWS_INSIDE": ELSEWHERE} if ELSEWHERE else {})  # fmt: skip
ENV_FILE = ROOT / ".env.test"
ENV = {name: value for name, value in os.environ.items() if name not in OWN}


def key(prediction_id: str) -> str:
    """Return the `_id` under which MongoDB has a prediction of this stack."""
    return f"churn/{prediction_id}"


def write_env_file() -> None:
    """Write `.env.test`, which `make … env=test` reads."""
    text = (ROOT / ".env.local").read_text()
    for name, value in {**OWN, "GATEWAY_BIND": outside()}.items():
        text = re.sub(rf"(?m)^{name}=.*\n", "", text) + f"{name}={value}\n"
    ENV_FILE.write_text(text)


def make(*words: str, seconds: float) -> str:
    """Run `make … env=test` and return what it printed, which is in the failure if it fails."""
    command = ["make", "--no-print-directory", *words, "env=test"]
    done = subprocess.run(command, cwd=ROOT, env=ENV, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-6000:]
    return done.stdout


@cache
def outside() -> str:
    """Return an address of this machine that others can reach: the engine's bridge at the least."""
    command = ["docker", "network", "inspect", "bridge", "--format", "{{json (index .IPAM.Config 0)}}"]
    about = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    # A daemon that has made the bridge itself names its address only after a restart; it takes the first one.
    return str(about.get("Gateway") or ip_network(about["Subnet"])[1])


def secrets() -> dict[str, str]:
    """Return the generated passwords."""
    lines = (ROOT / ".secrets.env").read_text().splitlines()
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}


def compose(*words: str, given: str = "", **environ: str) -> str:
    """Run a command of Compose on this stack, with `given` on its standard input, and return what it printed."""
    done = _run(words, given, environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fails(*words: str, given: str = "") -> str:
    """Run a command of Compose that must fail, and return what it printed on standard error."""
    done = _run(words, given, {})
    assert done.returncode != 0, done.stdout
    return done.stderr


def _run(words: tuple[str, ...], given: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    files = [word for file in FILES for word in ("-f", file)]
    env_files = [word for file in (".env", ENV_FILE.name, ".secrets.env") for word in ("--env-file", file)]
    command = ["docker", "compose", "-p", OWN["COMPOSE_PROJECT_NAME"], *env_files, *files, *words]
    env = {**ENV, "ENV_FILE": ENV_FILE.name, **environ}
    return subprocess.run(command, cwd=ROOT, env=env, input=given, capture_output=True, text=True, check=False)


def services() -> list[str]:
    """Return the services that the profiles select."""
    return sorted(compose("config", "--services").split())


def containers() -> dict[str, dict[str, Any]]:
    """Return what the engine reports about each service's container, by service."""
    label = f"label=com.docker.compose.project={OWN['COMPOSE_PROJECT_NAME']}"
    listed = subprocess.run(["docker", "ps", "-aq", "--filter", label], capture_output=True, text=True, check=True)
    if not (identities := listed.stdout.split()):
        return {}
    told = subprocess.run(["docker", "inspect", *identities], capture_output=True, text=True, check=True)
    return {c["Config"]["Labels"]["com.docker.compose.service"]: c for c in json.loads(told.stdout)}


def how(container: dict[str, Any]) -> str:
    """Return a container's state and, where it has a check, its health: `running healthy`."""
    state = container["State"]
    return f"{state['Status']} {state.get('Health', {}).get('Status', '')}".strip()


def ill() -> dict[str, str]:
    """Return the state of every container that is not healthy."""
    return {name: how(c) for name, c in containers().items() if how(c) not in {"running healthy", "running"}}


def until(what: str, holds: Callable[[], Any], seconds: float = 60) -> Any:
    """Return what `holds` returns once that is true; fail after `seconds`."""
    ends = time.monotonic() + seconds
    while True:
        try:
            if found := holds():
                return found
            last: object = "not yet"
        except (requests.RequestException, OSError) as error:
            last = error
        assert time.monotonic() < ends, f"{what}: not within {seconds:.0f} s ({last})"
        time.sleep(0.5)
