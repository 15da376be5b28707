"""`make bench`: the logged, durable /predict beside servers that answer a constant and beside other model servers.

The servers take turns, and the figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.contenders import Contender, contenders
from tests.processes import ROOT, free_port

CONNECTIONS = (1, 16, 64)
console = Console()


@contextmanager
def running(contender: Contender, log: Path) -> Iterator[None]:
    """Run the contender's server for the length of the block."""
    contender.port = free_port()
    env = {
        **os.environ, "OMP_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1",
        "PORT": str(contender.port), "SCORER_PORT": str(contender.port),
        "MLSERVER_HTTP_PORT": str(contender.port), "MLSERVER_GRPC_PORT": str(free_port()),
        "MLSERVER_METRICS_PORT": str(free_port()), "MLSERVER_PARALLEL_WORKERS": "0", "MLSERVER_HOST": "127.0.0.1",
        "PATH": f"{Path(contender.command[0]).parent}{os.pathsep}{os.environ['PATH']}", **contender.env,
    }  # fmt: skip
    command = [str(contender.port) if part == "PORT" else part for part in contender.command]
    with log.open("a") as output:
        process = subprocess.Popen(
            command, cwd=contender.folder, env=env, stdout=output, stderr=output, start_new_session=True
        )
        try:
            _wait_until_it_answers(contender, process)
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_until_it_answers(contender: Contender, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + 90
    while time.monotonic() < ends and process.poll() is None:
        with suppress(requests.RequestException):  # it does not listen yet
            answer = requests.post(f"http://127.0.0.1:{contender.port}{contender.path}", json=contender.body, timeout=5)
            if answer.ok:
                return
        time.sleep(0.25)
    raise SystemExit(f"{contender.name} does not answer; see its log")


def load(contender: Contender, connections: int, seconds: int, work: Path) -> None:
    """Ask for `seconds` as fast as `connections` can; note requests a second, p99 and memory."""
    script = work / f"{re.sub(r'[^a-z]', '', contender.name.lower())}.lua"
    body = f"wrk.body = [==[{json.dumps(contender.body)}]==]"
    script.write_text(f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n{body}\n')
    address = f"http://127.0.0.1:{contender.port}{contender.path}"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), address]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output:
        raise SystemExit(f"{contender.name} answered with errors:\n{output}")
    contender.rates.setdefault(connections, []).append(float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]))
    amount, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", output).groups()
    contender.p99.setdefault(connections, []).append(float(amount) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit])
    contender.memory = max(contender.memory, _memory(contender.port))


def _memory(port: int) -> float:
    """Return the resident MiB (proportional share) of the process group that listens on `port`."""
    listening = subprocess.run(["ss", "-Hltnp", f"sport = :{port}"], capture_output=True, text=True, check=False).stdout
    pids = {int(p) for p in re.findall(r"pid=(\d+)", listening)}
    groups = {os.getpgid(p) for p in pids}
    total = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(entry.name)) in groups:
                total += int(re.search(r"^Pss:\s+(\d+)", (entry / "smaps_rollup").read_text(), re.M)[1])
        except (OSError, TypeError):
            continue
    return total / 1024


def report(all_: list[Contender]) -> int:
    """Print the table and the targets; return 0 when all are met."""
    table = Table(
        box=box.SIMPLE_HEAD,
        title="requests a second and p99, medians; one process, one thread each",
        title_justify="left",
    )
    table.add_column("server", no_wrap=True)
    for c in CONNECTIONS:
        table.add_column(f"{c} conn. /s", justify="right")
        table.add_column("p99 ms", justify="right")
    table.add_column("MiB", justify="right")
    for one in all_:
        cells = [
            f(one, c) for c in CONNECTIONS for f in (lambda o, c: f"{rate(o, c):,.0f}", lambda o, c: f"{p99(o, c):.2f}")
        ]
        table.add_row(one.name, *cells, f"{one.memory:.0f}")
    console.print(table)
    ours, own, bare, flask, *peers = all_
    best = max(peers, key=lambda p: rate(p, 16))
    checks = [
        ("of a bare WSGI callable on Granian", ratio(ours, bare), 0.45),
        ("x a constant Flask route", ratio(ours, flask), 2.0),
        (f"x the best peer ({best.name})", ratio(ours, best), 13.0),
    ]
    for words, value, target in checks:
        console.print(f"{'✓' if value >= target else '✗'} {value:.2f} {words} (at least {target:g})", highlight=False)
    console.print(f"  {ratio(ours, own):.2f} of the rate of its own server with a constant answer", highlight=False)
    quick = p99(ours, 16) < p99(flask, 16)
    console.print(
        f"{'✓' if quick else '✗'} p99 {p99(ours, 16):.2f} ms, the Flask route's {p99(flask, 16):.2f} ms",
        highlight=False,
    )
    return 0 if quick and all(value >= target for _, value, target in checks) else 1


def rate(contender: Contender, connections: int = 16) -> float:
    return statistics.median(contender.rates[connections])


def p99(contender: Contender, connections: int = 16) -> float:
    return statistics.median(contender.p99[connections])


def ratio(a: Contender, b: Contender) -> float:
    """Return the median of the rounds' ratios at 16 connections: both of a pair saw the same noise."""
    return statistics.median(x / y for x, y in zip(a.rates[16], b.rates[16], strict=True))


def main() -> int:
    """Measure, print, and return 0 when the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--only", default="", help="part of the names of the servers to measure")
    parser.add_argument("--uv", default=str(ROOT / ".uv" / "bin" / "uv"))
    parser.add_argument("--peers", type=Path, default=ROOT / "var" / "bench")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("bench: wrk makes the load and is missing: apt-get install wrk (brew install wrk)")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        with console.status("training the model of the demo: 50 trials"):
            all_ = contenders(work, options.peers, options.uv)
        chosen = [c for c in all_ if options.only in c.name]
        for _ in track(range(options.rounds), "measuring", console=console):
            for contender in chosen:  # in turn, so that a slow minute affects all of them
                with running(contender, work / "log.txt"):
                    load(contender, 16, 1, work)  # warm up
                    contender.rates[16].pop(), contender.p99[16].pop()
                    for connections in CONNECTIONS:
                        load(contender, connections, options.seconds, work)
        if options.only:
            for one in chosen:
                console.print(one.name, {c: round(rate(one, c)) for c in CONNECTIONS}, round(one.memory))
            return 0
        return report(chosen)


if __name__ == "__main__":
    sys.exit(main())
