"""Brings the house up, trains, deploys, sends traffic, and says what happened: `make demo`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import requests
from rich.console import Console
from rich.table import Table

from demo.processes import EMULATOR, PORTS, PROMETHEUS, ROOT, Stack, StackError, environment, prometheus
from scorehouse.bundles.bundle import Manifest
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.usecase import UseCase, load_use_case

SCORER, MONITOR, REPORTS = "http://127.0.0.1:9696", "http://127.0.0.1:8085", "http://127.0.0.1:8888"
WEB_PAGES = "http://127.0.0.1:8080"  # insurance's
HTTP_TRAFFIC = ("--rate", "1000", "--count", "3000", "--outcomes-after", "1")
DRIFTING_TRAFFIC = ("--rate", "500", "--count", "2000", "--profile", "drift", "--drift-over", "500")
STREAM_TRAFFIC = ("--rate", "500", "--count", "1000", "--answers")
TRICKLE = ("--rate", "2", "--outcomes-after", "60")
console = Console()


def main() -> None:
    """Run the demo until Ctrl-C."""
    began = time.monotonic()
    settings = settings_or_exit()
    use_case = load_use_case(settings.use_case)
    folder = (settings.data_folder / "demo" / use_case.name).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    env = environment(folder, use_case.name)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console.print(f"\n[bold]Scorehouse[/bold]  {use_case.title}\n")
    stack = None
    try:
        stack = start(env, folder)
        run_id = bring_up(stack, env, use_case, began)
        sent = send_traffic(stack, env, run_id, began)
        show(use_case, run_id, folder, sent)
        if os.environ.get("ONCE") != "1":
            console.print("\nEverything keeps running. [bold]Ctrl-C[/bold] ends it.")
            wait(stack)
    except KeyboardInterrupt:
        console.print("\nstopping …")
    except ScorehouseError as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        sys.exit(1)
    finally:
        if stack is not None:
            stack.stop()
    console.print("stopped; nothing is left running")


def start(env: dict[str, str], folder: Path) -> Stack:
    """Start the processes, insurance's web pages, and Prometheus where it is installed. Raises StackError."""
    command, with_pages = prometheus(folder), env["USE_CASE"] == "insurance"
    more = {**({"Prometheus": 9091} if command else {}), **({"the web pages": 8080} if with_pages else {})}
    stack = Stack(env, folder / "stack.log", {**PORTS, **more})
    if command:
        stack.beside(command)
    if with_pages:
        stack.start("web_service")
    return stack


def bring_up(stack: Stack, env: dict[str, str], use_case: UseCase, began: float) -> str:
    """Start, train, deploy, and get a first answer; return the run that serves."""
    with console.status("starting MLflow, Prefect and the scorers (the first start takes longest)"):
        stack.wait_for("MLflow", "http://127.0.0.1:5051/health")
        stack.wait_for("Prefect", "http://127.0.0.1:4200/api/health")
    step(began, "MLflow and Prefect are up")
    run_id = run(env, "model_orchestration.train").splitlines()[-1]
    step(began, f"trained and registered run {run_id}")
    stack.wait_for("the scorer", f"{SCORER}/healthz")
    run({**env, "RUN_ID": run_id}, "server.deploy")
    answer = requests.post(f"{SCORER}/predict", json=example(use_case), timeout=10).json()
    step(began, f"first answer: {use_case.answer} {answer[use_case.answer]:.4g}")
    return run_id


def send_traffic(stack: Stack, env: dict[str, str], run_id: str, began: float) -> dict[str, str]:
    """Send usual and drifting traffic, leave a trickle running, and return in words what became of it."""
    over_http = json.loads(run(env, "simulation_business.http", *HTTP_TRAFFIC, "--json"))
    step(began, f"answered {over_http['answered']:,} of {over_http['sent']:,} records over HTTP")
    run(env, "model_orchestration.init_aws")
    stack.wait_for("the stream scorer", "http://127.0.0.1:9697/readyz")
    over_stream = json.loads(run(env, "simulation_business.kinesis", *STREAM_TRAFFIC, "--json"))
    step(began, f"answered {over_stream['answered']:,} of {over_stream['sent']:,} records over the stream")
    drifting = json.loads(run(env, "simulation_business.http", *DRIFTING_TRAFFIC, "--json"))
    stack.wait_for("the drift alarm", f"{MONITOR}/readyz", 60, lambda: alarmed(run_id))
    step(began, f"the drift alarm rose on {drifting['answered']:,} drifting records: {MONITOR}/")
    run(env, "reporting")
    step(began, f"the report of it is written: {REPORTS}/")
    for door in ("http", "kinesis"):
        stack.start(f"simulation_business.{door}", *TRICKLE)
    answered = f"{over_http['answered']:,} of {over_http['sent']:,} records answered, p99 {over_http['p99_ms']:.1f} ms"
    return {
        "HTTP": f"{answered}, {over_http['outcomes sent']:,} outcomes sent",
        "stream": f"{over_stream['answered']:,} of {over_stream['sent']:,} records came back",
        "drift": f"{drifting['answered']:,} drifting records raised the alarm",
    }


def alarmed(run_id: str) -> bool:
    """Say whether the monitor raises the drift alarm over this run; another may drift still from the demo before."""
    told = requests.get(f"{MONITOR}/metrics", timeout=5).text.splitlines()
    alarms = [line for line in told if line.startswith("evidently:data_drift:dataset_drift{") and line.endswith(" 1.0")]
    return any(f'model_run_id="{run_id}"' in line for line in alarms)


def run(env: dict[str, str], module: str, *arguments: str) -> str:
    """Run one of the house's commands, its progress on this terminal; return what it printed. Raises StackError."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise StackError(f"{module} ended with status {done.returncode}: see above")
    return done.stdout.strip()


def example(use_case: UseCase) -> dict[str, object]:
    """Return the use case's own example record: the required fields."""
    return {f.name: f.example for f in use_case.features if f.required}


def show(use_case: UseCase, run_id: str, folder: Path, sent: dict[str, str]) -> None:
    """Print what was trained, how good it is, and where to look."""
    made = Manifest.model_validate_json((folder / "bundles" / run_id / "bundle.json").read_bytes())
    table = Table(show_header=False, box=None, padding=(0, 2), title=None)
    table.add_row("[bold]model", f"{made.family} for {use_case.name}")
    table.add_row("[bold]run", run_id)
    table.add_row("[bold]data", f"{made.data}: {made.rows['training']:,} rows to train, {made.rows['test']:,} to judge")
    figures = [
        f"{name.removeprefix('test_').replace('_', ' ')} {v:.4g}"
        for name, v in made.quality.items()
        if name.startswith("test_")
    ]
    table.add_row("[bold]quality", ", ".join(figures[:6]))
    for door, words in sent.items():
        table.add_row(f"[bold]{door}", words)
    for what, where in (
        *([("pages for people", f"{WEB_PAGES}/")] if use_case.name == "insurance" else []),
        ("try it", f"{SCORER}/"),
        ("API", f"{SCORER}/docs"),
        ("drift and quality", f"{MONITOR}/"),
        ("reports", f"{REPORTS}/"),
        *([("metrics and alerts", f"{PROMETHEUS}/alerts")] if prometheus(folder) else []),
        ("trials and models", "http://127.0.0.1:5051"),
        ("streams and bucket", EMULATOR),
    ):
        table.add_row(f"[bold]{what}", where)
    table.add_row("[bold]logs", os.path.relpath(folder / "stack.log"))
    console.print()
    console.print(table, highlight=False)


def step(began: float, words: str) -> None:
    """Say that a step is done, and when."""
    seconds = time.monotonic() - began
    console.print(f"[green]✓[/green] [dim]{seconds:5.1f} s[/dim]  {words}", highlight=False, soft_wrap=True)


def wait(stack: Stack) -> None:
    """Return when a process dies; Ctrl-C ends the wait."""
    while stack.alive():
        time.sleep(0.5)
    raise StackError(f"a process of the stack died; the end of {stack.log}:\n{stack.tail()}")


if __name__ == "__main__":
    main()
