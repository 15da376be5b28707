"""Starts everything, trains, deploys, sends traffic, and prints what happened: `make demo`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import requests
from rich.console import Console
from rich.table import Table

from demo.processes import DemoError, Processes, environment, require_free_ports, started_services
from scorehouse.bundles.bundle import Manifest
from scorehouse.environment import read_settings, settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.pages.loading import load_use_case
from scorehouse.pages.records import example_record
from scorehouse.registry.client import Registry
from scorehouse.scoring.figures import figure_label
from scorehouse.services import SERVICES
from scorehouse.settings import Settings
from scorehouse.usecase import UseCase
from stack.steps import Steps

HTTP_TRAFFIC = ("--rate", "1000", "--count", "3000", "--outcomes-after", "1")
DRIFTING_TRAFFIC = ("--rate", "500", "--count", "2000", "--profile", "drift", "--drift-over", "500")
STREAM_TRAFFIC = ("--rate", "500", "--count", "1000", "--answers")
TRICKLE = ("--rate", "2", "--outcomes-after", "60")
PAGES = (  # what there is to look at, the service, and the path
    ("insurance web pages", "web_service", "/"),
    ("try it", "scorer", "/"),
    ("API", "scorer", "/docs"),
    ("drift and quality", "monitor", "/"),
    ("reports", "reports", "/"),
    ("metrics and alerts", "prometheus", "/alerts"),
    ("trials and models", "mlflow", ""),
    ("streams and bucket", "localstack", ""),
)
LOGS = "logs"
console = Console()


def main() -> None:
    """Run the demo until it is interrupted, or once if ONCE=1."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a background shell ignores the first
        signal.signal(number, interrupt)
    shell = settings_or_exit()
    try:
        use_case = load_use_case(shell.use_case)
        require_rows(use_case, shell)
    except ScorehouseError as error:
        sys.exit(f"demo: {error}")
    folder = (shell.data_folder / "demo" / use_case.name).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    env = environment(folder, use_case.name)
    settings = read_settings(env)
    services = started_services(use_case.name)
    demo = Demo(use_case, folder, settings, services, Steps(console), Processes(env, settings, folder / LOGS))
    console.print(f"\n[bold]Scorehouse[/bold]  {use_case.title}\n")
    try:
        demo.start()
        run_id = demo.deploy_a_model()
        results = demo.send_traffic(run_id)
        demo.show(run_id, results)
        if os.environ.get("ONCE") != "1":
            console.print("\nEverything keeps running. [bold]Ctrl-C[/bold] stops it.")
            demo.keep_running()
    except KeyboardInterrupt:
        console.print("\nstopping …")
    except ScorehouseError as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        sys.exit(1)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a second Ctrl-C must not leave half of it
            signal.signal(number, signal.SIG_IGN)
        demo.processes.stop()
    console.print("stopped; nothing is running any more")


def require_rows(use_case: UseCase, settings: Settings) -> None:
    """Raise DemoError before anything is started if there is no table to train on, and nothing to generate one."""
    named = use_case.table_at(settings.data)
    if use_case.sample is None and not named:
        raise DemoError(
            f"{use_case.name} has no sample to train on: name your table, as in "
            f"`USE_CASE={use_case.name} DATA=path/to/table.csv make demo`"
        )
    if named and not named.startswith("s3://") and not Path(named).expanduser().is_file():
        whose = "DATA" if settings.data else f"use_cases/{use_case.name}.py"
        raise DemoError(
            f"{whose} names the table {named}, but there is no such file: name yours, as in "
            f"`USE_CASE={use_case.name} DATA=path/to/table.csv make demo`"
        )


def interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Handle a signal as Ctrl-C."""
    raise KeyboardInterrupt


@dataclass(frozen=True, slots=True)
class Demo:
    """The steps of the demo."""

    use_case: UseCase
    folder: Path
    settings: Settings
    services: set[str]
    steps: Steps
    processes: Processes

    def address(self, name: str) -> str:
        """Return the address of a service."""
        return SERVICES[name].address(self.settings)

    def start(self) -> None:
        """Start the processes, and wait for MLflow and Prefect. Raises DemoError."""
        require_free_ports((SERVICES[name] for name in self.services), self.settings)
        self.processes.start_procfile()
        if "prometheus" in self.services:
            self.processes.start_prometheus()
        if "web_service" in self.services:
            self.processes.start("web_service")
        with console.status("starting MLflow, Prefect and the scorers (the first start takes longest)"):
            self.processes.wait_for(SERVICES["mlflow"])
            self.processes.wait_for(SERVICES["prefect"])
        self.steps.done("MLflow and Prefect are up")
        self.sign_older_models()

    def sign_older_models(self) -> None:
        """Sign, once, what an earlier demo in this folder registered before there were signatures. Raises DemoError."""
        signed = self.folder / "signed-models"
        if not signed.exists():
            self.processes.run("model_orchestration.sign", "--served")
            signed.touch()

    def deploy_a_model(self) -> str:
        """Train, deploy the best model, and get a first answer; return its run id. Raises ScorehouseError."""
        self.processes.run("model_orchestration.train")
        run_id = Registry.of(self.settings).newest(self.use_case.name)
        self.steps.done(f"trained and registered run {run_id}")
        scorer = SERVICES["scorer"]
        self.processes.wait_for(scorer, ready=lambda: self.processes.answers(scorer))
        self.processes.run("server.deploy", RUN_ID=run_id)
        record = example_record(self.use_case.features)
        answer = requests.post(f"{self.address('scorer')}/predict", json=record, timeout=10).json()
        value = answer[self.use_case.answer]
        said = value if self.use_case.classes else f"{value:.4g}"
        self.steps.done(f"first answer: {self.use_case.answer} {said}")
        return run_id

    def send_traffic(self, run_id: str) -> dict[str, str]:
        """Send normal and drifting traffic and leave a little running; return the results in words.

        What is sent is made of the table, where there is one, and otherwise generated.
        """
        run = self.processes.run
        over_http = json.loads(run("simulation_business.http", *HTTP_TRAFFIC, "--json"))
        self.steps.done(f"answered {over_http['answered']:,} of {over_http['sent']:,} records over HTTP")
        run("model_orchestration.init_aws")
        self.processes.wait_for(SERVICES["stream"])
        over_stream = json.loads(run("simulation_business.kinesis", *STREAM_TRAFFIC, "--json"))
        self.steps.done(f"answered {over_stream['answered']:,} of {over_stream['sent']:,} records over the stream")
        drift = self.let_it_drift(run_id)
        run("reporting")
        self.steps.done(f"the report is written: {self.address('reports')}/")
        for door in ("http", "kinesis"):
            self.processes.start(f"simulation_business.{door}", *TRICKLE)
        answered = f"{over_http['answered']:,} of {over_http['sent']:,} records answered"
        return {
            "traffic": over_http.get("rows", "generated rows"),
            "HTTP": f"{answered}, p99 {over_http['p99_ms']:.1f} ms, {over_http['outcomes sent']:,} outcomes sent",
            "stream": f"{over_stream['answered']:,} of {over_stream['sent']:,} records came back",
            "drift": drift,
        }

    def let_it_drift(self, run_id: str) -> str:
        """Send drifting records until the alert fires; return in words what drifted. Raises DemoError."""
        output = self.processes.run("simulation_business.http", *DRIFTING_TRAFFIC, "--json")
        if not output:
            return "none: no feature that could drift says anything about the outcome"
        drifting = json.loads(output)
        self.processes.wait_for(SERVICES["monitor"], 60, lambda: self.alert_fires(run_id))
        sent = f"{drifting['answered']:,} drifting records"
        self.steps.done(f"the drift alert fired after {sent}: {self.address('monitor')}/")
        return f"{sent} fired the alert" + (f": {drifting['drift']}" if "drift" in drifting else "")

    def alert_fires(self, run_id: str) -> bool:
        """Return whether the monitor reports drift for this run; an earlier demo's run may still drift."""
        try:
            lines = requests.get(f"{self.address('monitor')}/metrics", timeout=5).text.splitlines()
        except requests.RequestException:
            return False
        firing = [ln for ln in lines if ln.startswith("evidently:data_drift:dataset_drift{") and ln.endswith(" 1.0")]
        return any(f'model_run_id="{run_id}"' in line for line in firing)

    def show(self, run_id: str, results: dict[str, str]) -> None:
        """Print what was trained, how good it is, and where to look."""
        manifest = Manifest.model_validate_json((self.folder / "bundles" / run_id / "bundle.json").read_bytes())
        rows = manifest.rows
        table = Table(show_header=False, box=None, padding=(0, 2), title=None)
        table.add_row("[bold]model", f"{manifest.family} for {self.use_case.name}")
        table.add_row("[bold]run", run_id)
        table.add_row("[bold]data", f"{manifest.data}: {rows['training']:,} training rows, {rows['test']:,} test rows")
        figures = [
            f"{figure_label(name.removeprefix('test_'))} {value:.4g}"
            for name, value in manifest.quality.items()
            if name.startswith("test_")
        ]
        table.add_row("[bold]quality", ", ".join(figures[:6]))
        for name, words in results.items():
            table.add_row(f"[bold]{name}", words)
        for what, name, path in PAGES:
            if name in self.services:
                table.add_row(f"[bold]{what}", self.address(name) + path)
        table.add_row("[bold]logs", _from_here(self.processes.logs))
        console.print()
        console.print(table, highlight=False)

    def keep_running(self) -> None:
        """Return never; raise DemoError when a process dies, KeyboardInterrupt on Ctrl-C."""
        while True:
            self.processes.check_alive()
            time.sleep(0.5)


def _from_here(path: Path) -> str:
    """Return `path` as a person in this folder would type it: relative if it is below, else absolute."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


if __name__ == "__main__":
    main()
