"""Docker Compose with both files as one project, and waiting that shows which services are not healthy yet."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from stack import ports
from stack.environment import ROOT
from stack.errors import StackError

REGISTRY = "docker-compose-model-registry.yml"
SERVE = "docker-compose-serve.yml"
PATIENCE_SECONDS = 420.0
POLL_SECONDS = 1.0
SHOWN_SECONDS = 10.0  # between lines about what is waited for, where no terminal shows it all the time
MOST_FALLS = 15  # polls that find a service down: waiting longer will not bring it up


@dataclass(frozen=True, slots=True)
class Container:
    """One service's container: its state (running, exited, …), health (healthy, …; empty without a check) and ports."""

    service: str
    state: str
    health: str
    published: frozenset[ports.Address] = frozenset()

    @property
    def healthy(self) -> bool:
        """Whether it runs and its check, if it has one, passes."""
        return self.state == "running" and self.health in {"healthy", ""}


class Compose:
    """The project `scorehouse`, of one or both files."""

    def __init__(self, env: Mapping[str, str], console: Console, files: tuple[str, ...] = (REGISTRY, SERVE)):
        """Start nothing yet. `env` holds every variable of the env files. Raises StackError if no engine responds."""
        self._env = dict(env)
        self._console = console
        self._command = ["docker", "compose", *(word for file in files for word in ("-f", str(ROOT / file)))]
        try:
            done = subprocess.run(["docker", "version"], capture_output=True, text=True, timeout=20, check=False)
        except FileNotFoundError as error:
            raise StackError(
                "docker is not installed: install it, or run `make demo`, which does not need it"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise StackError(
                "the container engine did not respond to `docker version` within 20 s: restart it"
            ) from error
        if done.returncode:
            raise StackError(f"cannot reach the Docker engine: {done.stderr.strip().splitlines()[-1]}")

    def run(self, *words: str) -> None:
        """Run a command of Compose, which prints on this terminal. Raises StackError."""
        if subprocess.run([*self._command, *words], cwd=ROOT, env=self._env, check=False).returncode:
            raise StackError(f"`docker compose {' '.join(words)}` failed: see above")

    def output(self, *words: str) -> str:
        """Run a command of Compose and return what it printed. Raises StackError."""
        done = subprocess.run(
            [*self._command, *words], cwd=ROOT, env=self._env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StackError(f"`docker compose {' '.join(words)}` failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def build(self) -> None:
        """Build the images that changed, with Compose's progress on this terminal. Raises StackError."""
        services = json.loads(self.output("config", "--format", "json"))["services"]
        images = sorted(service["image"] for service in services.values() if "build" in service)
        self._console.print(
            f"building {', '.join(images)} (takes minutes the first time)", soft_wrap=True, highlight=False
        )
        self.run("build")

    def start(self) -> None:
        """Start the services that do not run. Raises StackError: a port is taken, or a service fails (with its log)."""
        configuration = json.loads(self.output("config", "--format", "json"))
        containers = [c for c in self.containers() if c.state == "running"]
        held = {c.service: c.published for c in containers}
        wanted = ports.published(configuration)
        if faults := ports.faults(wanted, set(held), {address for theirs in held.values() for address in theirs}):
            raise StackError("cannot start:\n  " + "\n  ".join(faults))
        try:
            if late := ports.taken_over(wanted, held):  # an older version published these ports on other services
                self.run("up", "--detach", "--quiet-pull", *sorted(configuration["services"].keys() - late))
            self.run("up", "--detach", "--quiet-pull")
        except StackError as error:
            of_files = self.services()  # the containers are those of both halves
            unhealthy = sorted(c.service for c in self.containers() if not c.healthy and c.service in of_files)
            raise StackError(f"{error}\n{self.logs(unhealthy)}" if unhealthy else str(error)) from error

    def databases_of_others(self) -> list[str]:
        """Return the PostgreSQL volumes of other projects; call it once this project's volumes are removed."""
        command = ["docker", "volume", "ls", "-q", "--filter", "label=com.docker.compose.volume=postgres"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()

    def services(self) -> set[str]:
        """Return the services that the profiles select. Raises StackError."""
        return set(self.output("config", "--services").split())

    def containers(self) -> list[Container]:
        """Return the project's containers, including stopped ones."""
        lines = self.output("ps", "--all", "--format", "json").splitlines()
        return [_container(json.loads(line)) for line in lines]

    def wait(self, services: set[str], seconds: float = PATIENCE_SECONDS) -> None:
        """Return once all of `services` are healthy.

        Raises:
            StackError: after `seconds`, or when a service was found down MOST_FALLS times; with the logs.
        """
        begun = time.monotonic()
        ends, shown = begun + seconds, begun
        falls = Counter[str]()
        with self._console.status("starting") as status:
            while True:
                containers = self.containers()
                late = sorted(services - {c.service for c in containers if c.healthy})
                if not late:
                    return
                falls.update(c.service for c in containers if c.service in late and c.state in {"restarting", "exited"})
                if failed := sorted(name for name, times in falls.items() if times > MOST_FALLS):
                    raise StackError(f"these services keep exiting: {', '.join(failed)}\n{self.logs(failed)}")
                if time.monotonic() > ends:
                    raise StackError(
                        f"these services are not healthy after {seconds:.0f} s: {', '.join(late)}\n{self.logs(late)}"
                    )
                waiting = f"waiting for {', '.join(late)}"
                status.update(waiting)
                if not self._console.is_terminal and time.monotonic() - shown > SHOWN_SECONDS:  # as in a log
                    shown = time.monotonic()
                    self._console.print(f"{waiting} since {shown - begun:.0f} s", highlight=False, soft_wrap=True)
                time.sleep(POLL_SECONDS)

    def logs(self, services: list[str]) -> str:
        """Return the last lines of each service's log. Raises StackError."""
        return self.output("logs", "--no-color", "--tail", "25", *services)


def _container(line: Mapping[str, Any]) -> Container:
    """Return what a line of `docker compose ps` is about."""
    addresses = ((p["URL"], p["PublishedPort"]) for p in line.get("Publishers") or [])
    published = frozenset((host, port) for host, port in addresses if port)
    return Container(line["Service"], line["State"], line["Health"], published)
