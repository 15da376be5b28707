"""Brings the composed stack up, whole or by halves, and removes it: `python -m stack up --env local`."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from rich.console import Console

from scorehouse.errors import ScorehouseError
from stack.addresses import table
from stack.compose import REGISTRY, SERVE, Compose
from stack.environment import ROOT, SECRETS, StackError, environment, make_secrets, remember_run
from stack.training import apply, await_training
from stack.waiting import await_doors

WAIT_FOR_A_MODEL = {"scorer", "stream", "simulator-http", "simulator-kinesis"}
OTHERS_SECONDS = 60  # that a deployment waits for the monitor and the rest
HOST_DATA = ROOT / "var" / "stack"  # what host-side commands keep: bundles they verified


class Stack:
    """The steps, in the words of the Makefile's targets; each may be run again and then changes nothing."""

    def __init__(self, name: str, console: Console):
        """Read what the stack is told, making secrets where they are missing. Raises StackError."""
        self._name, self._console, self._began = name, console, time.monotonic()
        if new := make_secrets():
            self.step(f"made {', '.join(new)} in {SECRETS.name}")
        self._env = environment(name)
        self._registry = Compose(self._env, console, (REGISTRY,))
        self._serve = Compose(self._env, console, (SERVE,))
        self._whole = Compose(self._env, console)

    def registry(self) -> None:
        """Start the registry's half and wait until it is ready."""
        self._registry.run("build", "--quiet")
        self._registry.start()
        self._registry.wait(self._registry.services())
        self.step("MLflow, Prefect and its worker, and what they stand on are ready")

    def train_flow(self) -> str:
        """Schedule the training and start one now; return its flow run's id."""
        flow_run = apply(self._registry, run=True)
        minutes = self._env.get("TRAINING_INTERVAL_MINUTES") or "180"
        self.step(f"training is scheduled every {minutes} minutes, and one has begun: {flow_run}")
        return flow_run

    def report_flow(self, run: bool = True) -> None:
        """Schedule the reports; with `run` start one now."""
        said = "reports are scheduled, and one has begun: " if run else ""
        self.step(said + apply(self._registry, run, "reporting.apply"))

    def build_serve(self) -> None:
        """Build serving's images, then start it and wait until all of it is well."""
        self._serve.run("build", "--quiet")
        self.start_serve()
        self._serve.wait(self._serve.services() - WAIT_FOR_A_MODEL)

    def start_serve(self) -> None:
        """Start serving's half; deploy the run that RUN_ID names. Who else is ill is told: it holds up no door."""
        self._serve.start()
        others = self._serve.services() - WAIT_FOR_A_MODEL
        if not self._env.get("RUN_ID"):
            self._serve.wait(others)
            self.step(f"serving is up; its doors wait for a model: set RUN_ID in .env.{self._name}, `make start-serve`")
            return
        await_doors(self._env, self._serve, self._console)
        self.step(self._host("server.deploy").strip())
        self._serve.wait(WAIT_FOR_A_MODEL & self._serve.services())
        try:
            self._serve.wait(others, OTHERS_SECONDS)
        except StackError as error:
            self._console.print(
                f"the run is served, but not all is well: {error}", style="yellow", markup=False, highlight=False
            )

    def stop_serve(self) -> None:
        """Stop serving's half; what was answered stays on its volumes."""
        self._serve.run("stop")
        self.step("serving is stopped; `make start-serve` starts it again")

    def up(self) -> None:
        """Everything, in order; trains where no RUN_ID is set."""
        self._whole.run("build", "--quiet")
        self.step("images are built")
        self.registry()
        self._console.print(self._host("model_orchestration.init_aws").rstrip(), highlight=False, markup=False)
        if first := not self._env.get("RUN_ID"):
            self._env["RUN_ID"] = run_id = await_training(self._env, self.train_flow(), self._console)
            remember_run(self._name, run_id)
            self.step(f"trained run {run_id}; .env.{self._name} names it")
        else:
            self.step(apply(self._registry, run=False))
        self.start_serve()
        self._serve.wait(self._serve.services())
        self.report_flow(run=first)
        self.addresses()

    def addresses(self) -> None:
        """Say where everything is."""
        self._console.print()
        self._console.print(table(self._env, self._whole.services()), highlight=False)
        self._console.print(f"\n  passwords: {SECRETS.name}; `make down` stops it, `make reset_all` removes it")

    def erase(self, customer_id: str) -> None:
        """Remove what journal and store hold of a customer; serving may run meanwhile, its store must."""
        if not customer_id:
            raise StackError("erase whom? make erase CUSTOMER_ID=…")
        command = ("run", "--rm", "--no-deps", "-T", "shipper", "python", "-m", "server.erase", customer_id)
        self.step(self._serve.output(*command).strip())

    def down(self) -> None:
        """Remove the containers; volumes and images stay."""
        self._whole.run("--profile", "*", "down")

    def reset(self) -> None:
        """Remove containers, network, volumes, images, the run that went with them, and secrets no other stack uses."""
        self._whole.run("--profile", "*", "down", "--volumes", "--remove-orphans")
        images = self._whole.output("--profile", "*", "config", "--images").split()
        for image in sorted({name for name in images if name.startswith("scorehouse/")}):
            subprocess.run(["docker", "image", "rm", "--force", image], capture_output=True, check=False)
        shutil.rmtree(HOST_DATA, ignore_errors=True)
        if not (others := self._whole.others_databases()):
            SECRETS.unlink(missing_ok=True)
        if run_id := self._env.get("RUN_ID"):
            path = ROOT / f".env.{self._name}"
            path.write_text(path.read_text().replace(f"\nRUN_ID={run_id}\n", "\nRUN_ID=\n"))
        kept = f"; {SECRETS.name} stays, for {', '.join(others)} has its password" if others else ", secrets"
        self.step(f"removed: containers, network, volumes, images, RUN_ID{kept}")

    def step(self, words: str) -> None:
        """Say that a step is done, and when."""
        seconds = time.monotonic() - self._began
        self._console.print(f"[green]✓[/green] [dim]{seconds:5.1f} s[/dim]  {words}", highlight=False, soft_wrap=True)

    def _host(self, module: str) -> str:
        """Run one of the product's commands on this machine; return what it printed. Raises StackError."""
        env = {**self._env, "DATA_FOLDER": str(HOST_DATA)}
        done = subprocess.run(
            [sys.executable, "-m", module], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            raise StackError(f"{module} ended with status {done.returncode}: see above")
        return done.stdout


def agreed(console: Console, yes: bool) -> bool:
    """Ask before everything goes."""
    question = "This removes every model, prediction and report of the stack. Type yes: "
    return yes or console.input(question).strip() == "yes"


DOES: Mapping[str, Callable[[Stack], object]] = {
    "up": Stack.up, "down": Stack.down, "registry": Stack.registry, "train-flow": Stack.train_flow,
    "setup-serve": Stack.build_serve, "start-serve": Stack.start_serve, "stop-serve": Stack.stop_serve,
    "addresses": Stack.addresses, "secrets": lambda _: None, "reset": Stack.reset, "report-flow": Stack.report_flow,
}  # fmt: skip


def main() -> None:
    """Do one thing; end with status 1 and what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m stack", description=__doc__)
    parser.add_argument("what", choices=[*DOES, "erase"])
    parser.add_argument("--env", default="local", help="local or cloud: which .env file")
    parser.add_argument("--yes", default="", help="1: reset without asking")
    parser.add_argument("--customer", default="", help="whom to erase")
    options, console = parser.parse_args(), Console()
    try:
        if options.what == "reset" and not agreed(console, options.yes == "1"):
            sys.exit("nothing was removed")
        stack = Stack(options.env, console)
        if options.what == "erase":
            stack.erase(options.customer.strip())
        else:
            DOES[options.what](stack)
    except ScorehouseError as error:
        console.print(str(error), style="red", markup=False, highlight=False)  # logs hold brackets
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
