"""RUN_ID changed in the composed stack under traffic on both doors; what others can reach in the cloud."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from typing import Any

import pytest

from tests.system.composed.models import change_run_id, serving
from tests.system.composed.project import (
    ENV,
    ENV_FILE,
    FILES,
    ROOT,
    compose,
    containers,
    ill,
    make,
    until,
)
from tests.system.composed.traffic import Traffic, every_one_is_stored

pytestmark = pytest.mark.compose
CHANGES = int(os.environ.get("COMPOSE_TEST_CHANGES", "2"))  # of RUN_ID under traffic; 20 are promised
CLIENTS = int(os.environ.get("COMPOSE_TEST_CLIENTS", "2"))  # of each door, twenty requests a second each


def test_run_id_changes_under_traffic_fail_no_request_lose_no_record_and_restart_nothing(
    runs: list[str], log: Any, shown: list[str]
) -> None:
    (before,) = serving()
    others = sorted(runs, key=lambda run_id: run_id == before)
    started = {name: container["State"]["StartedAt"] for name, container in containers().items()}
    took = []
    with Traffic(CLIENTS).running() as traffic:
        until("traffic flows", lambda: len(traffic.answered) > 20 and len(traffic.put) > 20)
        began, already = time.monotonic(), (len(traffic.answered), len(traffic.put))
        for run_id in islice(cycle(others), CHANGES):
            took.append(change_run_id(run_id))
            assert serving() == {run_id}
            seen = len(traffic.answered)
            until("answers of the new run", lambda seen=seen: len(traffic.answered) > seen + 5)
        make("rollback", seconds=60)
        until("the way back is served", lambda: run_id not in serving())
        asked, put = len(traffic.answered) - already[0], len(traffic.put) - already[1]
        seconds = time.monotonic() - began
    assert traffic.refused["http"] == 0  # a put that the emulator refuses, being busy, is no record
    made = every_one_is_stored(log, [*traffic.answered, *traffic.put])
    assert traffic.answered.items() <= made.items()  # each answer named the run that is in the log beside it
    assert set(made.values()) == set(runs)
    assert {name: c["State"]["StartedAt"] for name, c in containers().items()} == started
    assert max(took) < 30
    shown.append(
        f"{CHANGES} changes of RUN_ID: {asked:,} requests ({asked / seconds:.0f} a second) and {put:,} records "
        f"({put / seconds:.0f} a second), none failed or lost "
        f"({traffic.refused['stream']} puts refused by the emulator); "
        f"{statistics.median(took):.1f} s median, {max(took):.1f} s at most"
    )


def signal_monitor(name: str) -> None:
    """Send a signal to all processes of the monitor's container but the first, which only starts and reaps them."""
    compose("exec", "-T", "monitor", "bash", "-c", f"kill -{name} -1")


def test_doors_serve_the_new_run_though_the_monitor_hangs_which_is_named(runs: list[str]) -> None:
    (before,) = serving()
    other = next(run_id for run_id in runs if run_id != before)
    signal_monitor("STOP")
    try:
        until("the monitor is ill", lambda: ill().keys() == {"monitor"}, 120)
        with ThreadPoolExecutor(1) as pool:
            changed = pool.submit(make, "start-serve", f"RUN_ID={other}", seconds=180)  # named: it may not have changed
            until("every door serves the other run", lambda: serving() == {other})
            with pytest.raises(AssertionError, match="8085 is not responding"):
                changed.result()
    finally:
        signal_monitor("CONT")
    until("the monitor is well", lambda: not ill())


def test_a_run_that_is_not_there_is_refused_with_its_reason_and_the_old_one_serves(runs: list[str]) -> None:
    before, told = serving(), ENV_FILE.read_text()
    ENV_FILE.write_text(re.sub(r"(?m)^RUN_ID=.*$", f"RUN_ID={'f' * 32}", told))
    try:
        with pytest.raises(AssertionError, match=f"deploy: .*{'f' * 32}"):
            make("start-serve", seconds=120)
    finally:
        ENV_FILE.write_text(told)
    assert serving() == before


def ports_of_the_cloud() -> dict[str, list[tuple[str, int]]]:
    """Return where each service of env=cloud listens, as it is committed."""
    files = [word for file in FILES for word in ("-f", file)]
    env_files = [word for name in (".env", ".env.cloud", ".secrets.env") for word in ("--env-file", name)]
    command = ["docker", "compose", *env_files, *files]
    env = {name: value for name, value in ENV.items() if name != "COMPOSE_PROFILES"}
    done = subprocess.run(
        [*command, "config", "--format", "json"], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    services = json.loads(done.stdout)["services"]
    return {
        name: [(port.get("host_ip", ""), int(port["published"])) for port in about.get("ports", [])]
        for name, about in services.items()
    }


def test_of_the_clouds_ports_only_the_gateways_can_be_reached_from_outside(stack: str) -> None:
    ports = ports_of_the_cloud()
    open_to_others = {(name, port) for name, bound in ports.items() for host, port in bound if host != "127.0.0.1"}
    assert open_to_others == {("gateway", 8000)}
    assert {name for name, bound in ports.items() if bound} == {"gateway", "reports", "mongodb"}
