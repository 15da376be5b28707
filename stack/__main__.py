"""Starts the composed stack, whole or by halves, and removes it: `python -m stack up --env local`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping

from rich.console import Console

from scorehouse.environment import read_settings
from scorehouse.errors import RegistryUnavailable, RunNotFound, ScorehouseError
from scorehouse.registry.client import Registry
from scorehouse.services import SERVICES
from stack.addresses import address_table
from stack.compose import REGISTRY, SERVE, Compose
from stack.database import require_login
from stack.environment import (
    HOST_DATA,
    ROOT,
    SECRETS,
    environment,
    make_command,
    make_secrets,
    settings_of,
)
from stack.errors import StackError
from stack.keys import adopt_old_keys, key_folder
from stack.machine import changed_settings, create_machine_file, moving_hint, unknown_settings
from stack.signing import FOLDER, FirstSigning, private_key, unknown_key
from stack.steps import Steps
from stack.training import apply, await_training
from stack.waiting import await_doors

# Not healthy without a model: the doors, and the simulators that send to them.
NEED_A_MODEL = {name for name, service in SERVICES.items() if service.door} | {"simulator-http", "simulator-kinesis"}
OTHERS_SECONDS = 60  # that a deployment waits for the monitor and the rest


class Stack:
    """The Makefile's targets as steps. A step that is run again changes nothing."""

    def __init__(self, name: str, console: Console):
        """Read the settings of env=`name` and generate missing secrets. Raises StackError, SettingError."""
        self._name = name
        self._console = console
        self._steps = Steps(console)
        if new := make_secrets():
            self._steps.done(f"generated {', '.join(new)} in {SECRETS.name}")
        folder = key_folder(settings_of(name))
        folder.create()
        if adopted := adopt_old_keys(folder):
            self._steps.done(
                f"the gateway's keys are now files, named {', '.join(adopted)}; {make_command('keys', name)} lists them"
            )
        self._env = environment(name)
        create_machine_file(name, ROOT)
        for line in unknown_settings(name, ROOT):
            console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
        self._named = bool(os.environ.get("RUN_ID"))  # by a person, for this command: then it is deployed in any case
        self._settings = read_settings(self._env)
        self._registry = Compose(self._env, console, (REGISTRY,))
        self._serve = Compose(self._env, console, (SERVE,))
        self._whole = Compose(self._env, console)

    def registry(self) -> None:
        """Build the images of the registry half, start it and wait until it is healthy."""
        self._registry.build()
        self._start_registry()

    def _start_registry(self) -> None:
        self._registry.start()
        self._registry.wait(self._registry.services())
        self._steps.done("MLflow, Prefect and its worker, and what they need are ready")
        self._sign_older_models()

    def _sign_older_models(self) -> None:
        """Sign, once, the models in use that were registered before there were signatures, and say so."""
        first = FirstSigning(ROOT, self._name)
        if first.is_due:
            self._steps.done(self._run_here("model_orchestration.sign", "--served").strip())
            first.mark_done()

    def train_flow(self) -> str:
        """Schedule the training and start one now; return its flow run's id."""
        schedule, flow_run = apply(self._registry, run=True)
        self._steps.done(schedule)
        self._steps.done(f"a training has started: flow run {flow_run}")
        return flow_run

    def report_flow(self, run: bool = True) -> None:
        """Schedule the reports; with `run`, start one now."""
        schedule, flow_run = apply(self._registry, run, "reporting.apply")
        self._steps.done(schedule)
        if run:
            self._steps.done(f"a report has started: flow run {flow_run}")

    def build_serve(self) -> None:
        """Build the images of the serving half, start it and wait until it is healthy."""
        self._serve.build()
        self.start_serve()
        self._serve.wait(self._serve.services() - NEED_A_MODEL)

    def start_serve(self) -> None:
        """Start the serving half, and deploy RUN_ID if it changed. Other unhealthy services delay no door."""
        self._serve.start()
        require_login(self._env, self._console)
        others = self._serve.services() - NEED_A_MODEL
        if not self._env["RUN_ID"] and (problem := self._nothing_serves()):
            self._serve.wait(others)
            self._steps.done(f"serving has started; no run was deployed, because RUN_ID is empty, and {problem}")
            return
        await_doors(self._settings, self._serve, self._console)
        self._steps.done(self._run_here("server.deploy", *([] if self._named else ["--if-changed"])).strip())
        self._serve.wait(NEED_A_MODEL & self._serve.services())
        try:
            self._serve.wait(others, OTHERS_SECONDS)
        except StackError as error:
            self._console.print(
                f"the run is served, but some services are not healthy: {error}",
                style="yellow", markup=False, highlight=False,
            )  # fmt: skip

    def _nothing_serves(self) -> str:
        """Return why no run serves, as the registry says; empty if one does."""
        try:
            registry = Registry.of(self._settings)
            registry.served(self._settings.use_case)
        except (RunNotFound, RegistryUnavailable) as error:
            return str(error)
        return ""

    def stop_serve(self) -> None:
        """Stop the serving half; its volumes keep every prediction."""
        self._serve.run("stop")
        self._steps.done(f"serving is stopped; {make_command('start-serve', self._name)} starts it again")

    def up(self) -> None:
        """Build and start everything in order; train first if RUN_ID is empty and no run serves."""
        self._whole.build()
        self._steps.done("images are built")
        self._start_registry()
        self._console.print(self._run_here("model_orchestration.init_aws").rstrip(), highlight=False, markup=False)
        if first := not self._env["RUN_ID"] and bool(self._nothing_serves()):
            self._env["RUN_ID"] = run_id = await_training(self._settings, self.train_flow(), self._console)
            self._named = True
            self._steps.done(f"trained run {run_id}")
        else:
            self._steps.done(apply(self._registry, run=False)[0])
        self.start_serve()
        self._serve.wait(self._serve.services())
        self.report_flow(run=first)
        self.addresses()
        if changed := changed_settings(self._name, ROOT):
            self._console.print(
                f"\n{moving_hint(self._name, changed)}", style="yellow", markup=False, highlight=False, soft_wrap=True
            )

    def addresses(self) -> None:
        """Print where every service is."""
        tls = bool(self._env.get("GATEWAY_TLS"))
        self._console.print()
        self._console.print(address_table(self._settings, self._whole.services(), tls), highlight=False)
        self._console.print(
            f"\n  passwords: {SECRETS.name}; key for another machine or a person: "
            f"{make_command('key NAME=… SCOPES=score,outcomes,read', self._name)}; "
            f"{make_command('down', self._name)} stops everything; "
            f"{make_command('reset_all', self._name)} deletes everything, data included"
        )

    def check_key(self) -> None:
        """Print a step if no door would accept what this machine's key signs, as while a key is replaced."""
        if public := unknown_key(self._env):
            self._steps.done(f"no door accepts what this machine signs: add {public} to VERIFY_KEY in {SECRETS.name}")

    def erase(self, customer_id: str) -> None:
        """Remove a customer from journal and store. Serving may run meanwhile; the store must."""
        if not customer_id:
            raise StackError(f"CUSTOMER_ID is missing: run {make_command('erase CUSTOMER_ID=…', self._name)}")
        command = ("run", "--rm", "--no-deps", "-T", "shipper", "python", "-m", "server.erase", customer_id)
        self._console.print("erasing the customer from the journal and the store (about half a minute)")
        self._steps.done(self._serve.output(*command).strip())

    def down(self) -> None:
        """Remove the containers; volumes and images stay."""
        self._whole.run("--profile", "*", "down")

    def reset(self) -> None:
        """Remove containers, network, volumes, images, and the secrets unless another stack uses them."""
        self._whole.run("--profile", "*", "down", "--volumes", "--remove-orphans")
        images = self._whole.output("--profile", "*", "config", "--images").split()
        for image in sorted({name for name in images if name.startswith("scorehouse/")}):
            subprocess.run(["docker", "image", "rm", "--force", image], capture_output=True, check=False)
        shutil.rmtree(HOST_DATA, ignore_errors=True)
        if not (others := self._whole.databases_of_others()):
            SECRETS.unlink(missing_ok=True)
            key_folder(self._env).clear()
            FirstSigning(ROOT, self._name).forget()  # or the models of a restored older backup would never be signed
        kept = (
            f"; {SECRETS.name} stays because its password is used by the volumes {', '.join(others)}"
            if others
            else ", secrets, keys of the gateway"
        )
        if private_key(ROOT).exists():
            kept += f"; {FOLDER} stays, because the models of `make demo` are signed with its key"
        self._steps.done(f"removed: containers, network, volumes, images{kept}")
        if run_id := self._env["RUN_ID"]:
            self._console.print(
                f"run {run_id} was removed, too: empty RUN_ID in .env.{self._name} or .env.{self._name}.machine, "
                f"so that {make_command('up', self._name)} trains a new one",
                style="yellow", markup=False, highlight=False,
            )  # fmt: skip

    def _run_here(self, module: str, *arguments: str) -> str:
        """Run one of the product's commands on this machine; return what it printed. Raises StackError."""
        env = {**self._env, "DATA_FOLDER": str(HOST_DATA)}
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise StackError(f"{module} failed with status {done.returncode}: see the message above")
        return done.stdout


def confirm(console: Console, yes: bool) -> bool:
    """Ask before everything is removed."""
    question = "This deletes every model, prediction and report of the stack. Type yes to continue: "
    return yes or console.input(question).strip() == "yes"


COMMANDS: Mapping[str, Callable[[Stack], object]] = {
    "up": Stack.up, "down": Stack.down, "registry": Stack.registry, "train-flow": Stack.train_flow,
    "setup-serve": Stack.build_serve, "start-serve": Stack.start_serve, "stop-serve": Stack.stop_serve,
    "addresses": Stack.addresses, "secrets": Stack.check_key, "reset": Stack.reset, "report-flow": Stack.report_flow,
}  # fmt: skip


def main() -> None:
    """Run one command; exit with status 1 and what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m stack", description=__doc__)
    parser.add_argument("command", choices=[*COMMANDS, "erase"])
    parser.add_argument("--env", default="local", help="env file to use: local, cloud or another .env.NAME")
    parser.add_argument("--yes", default="", help="1: reset without asking")
    parser.add_argument("--customer", default="", help="the customer to erase")
    options = parser.parse_args()
    console = Console()
    try:
        if options.command == "reset" and not confirm(console, options.yes == "1"):
            sys.exit("nothing was removed")
        stack = Stack(options.env, console)
        if options.command == "erase":
            stack.erase(options.customer.strip())
        else:
            COMMANDS[options.command](stack)
    except ScorehouseError as error:
        console.print(str(error), style="red", markup=False, highlight=False)  # logs hold brackets
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
