"""Docker Compose as the stack needs it: both files as one project, and waiting that shows who is not well yet."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console

from stack import ports
from stack.environment import ROOT, StackError

REGISTRY, SERVE = "docker-compose-model-registry.yml", "docker-compose-serve.yml"
PATIENCE_SECONDS, LOOK_SECONDS = 420.0, 1.0
MOST_FALLS = 15  # looks that find a service down again: it will not come up by being waited for


@dataclass(frozen=True, slots=True)
class Container:
    """One service's container: its state (running, exited, …) and health (healthy, …; empty without a check)."""

    service: str
    state: str
    health: str

    @property
    def well(self) -> bool:
        """It runs, and its check, if it has one, says ready."""
        return self.state == "running" and self.health in {"healthy", ""}


class Compose:
    """The project `scorehouse`, of one or both files."""

    def __init__(self, env: Mapping[str, str], console: Console, files: tuple[str, ...] = (REGISTRY, SERVE)):
        """Start nothing yet. Raises StackError where no engine answers."""
        self._env, self._console = dict(env), console
        self._command = ["docker", "compose", *(word for file in files for word in ("-f", str(ROOT / file)))]
        try:
            done = subprocess.run(["docker", "version"], capture_output=True, text=True, timeout=20, check=False)
        except FileNotFoundError as error:
            raise StackError("docker is not installed: `make demo` runs everything without it") from error
        if done.returncode:
            raise StackError(f"no container engine answers: {done.stderr.strip().splitlines()[-1]}")

    def run(self, *words: str) -> None:
        """Run a command of Compose, its progress on this terminal. Raises StackError."""
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

    def start(self) -> None:
        """Start what is not running. Raises StackError: a port is taken, or a service does not come up (its log)."""
        configuration = json.loads(self.output("config", "--format", "json"))
        running = {c.service for c in self.containers() if c.state == "running"}
        if faults := ports.faults(ports.published(configuration), running):
            raise StackError("cannot start:\n  " + "\n  ".join(faults))
        try:
            self.run("up", "--detach", "--quiet-pull")
        except StackError as error:
            ill = sorted(c.service for c in self.containers() if not c.well)
            raise StackError(f"{error}\n{self.logs(ill)}" if ill else str(error)) from error

    def others_databases(self) -> list[str]:
        """Return the PostgreSQL volumes that are left: those of other projects, once this one's are removed."""
        asked = ["docker", "volume", "ls", "-q", "--filter", "label=com.docker.compose.volume=postgres"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()

    def services(self) -> set[str]:
        """Return the services of these files, without those whose profile is left out."""
        return set(self.output("config", "--services").split())

    def containers(self) -> list[Container]:
        """Return the project's containers, stopped ones as well."""
        lines = self.output("ps", "--all", "--format", "json").splitlines()
        return [Container(c["Service"], c["State"], c["Health"]) for c in map(json.loads, lines)]

    def wait(self, services: set[str], seconds: float = PATIENCE_SECONDS) -> None:
        """Return once all of `services` are well. Raises StackError, with their logs, after `seconds` or many falls."""
        ends, falls = time.monotonic() + seconds, Counter[str]()
        with self._console.status("starting") as status:
            while True:
                found = self.containers()
                late = sorted(services - {c.service for c in found if c.well})
                if not late:
                    return
                falls.update(c.service for c in found if c.service in late and c.state in {"restarting", "exited"})
                if lost := sorted(name for name, times in falls.items() if times > MOST_FALLS):
                    raise StackError(f"does not stay up: {', '.join(lost)}\n{self.logs(lost)}")
                if time.monotonic() > ends:
                    raise StackError(f"not well after {seconds:.0f} s: {', '.join(late)}\n{self.logs(late)}")
                status.update(f"waiting for {', '.join(late)}")
                time.sleep(LOOK_SECONDS)

    def logs(self, services: list[str]) -> str:
        """Return the last lines of each service's log. Raises StackError."""
        return self.output("logs", "--no-color", "--tail", "25", *services)
