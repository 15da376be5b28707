"""Deploys the run in RUN_ID, `python -m server.deploy`: verifies it, moves the alias, waits for the doors.

RUN_ID in an env file is a request, and the registry remembers the last one: with `--if-changed`, as a start calls it, a
request that was carried out before is not repeated, so that the run of a rollback or a promotion stays.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from dataclasses import dataclass

from scorehouse.access import bearer
from scorehouse.bundles.cache import BundleCache
from scorehouse.environment import settings_or_exit
from scorehouse.errors import RunNotFound, ScorehouseError
from scorehouse.pages.loading import load_use_case
from scorehouse.registry.client import PRODUCTION, SERVING, Hold, Registry, Version
from scorehouse.registry.history import History
from scorehouse.settings import Settings
from server.rollout import NotFollowed, Refused, addresses, ask, wait_for


@dataclass(frozen=True, slots=True)
class Desired:
    """What the registry says should serve: a version, the alias through which doors follow it, and a hold."""

    version: Version
    alias: str
    hold: Hold | None


class Deployer:
    """Changes which run serves: the registry names it, doors follow, and the history says why."""

    def __init__(self, settings: Settings):
        """Connect to nothing yet. Raises UseCaseError."""
        self._settings = settings
        self._use_case = load_use_case(settings.use_case)
        self.registry = Registry.of(settings)
        self._cache = BundleCache.of(settings, self.registry)
        self.history = History(self.registry, self._use_case.name)

    def resolve(self) -> tuple[Version, str]:
        """Return the version in RUN_ID, and the alias through which doors follow it.

        Raises:
            RunNotFound, RegistryUnavailable: there is no such run, or MLflow cannot be reached.
        """
        run_id = self._settings.run_id
        alias = PRODUCTION if run_id == PRODUCTION else SERVING
        return self._cache.ask(self._use_case.name, run_id), alias

    def is_due(self) -> bool:
        """Return whether a start should deploy RUN_ID: nothing serves, or RUN_ID changed since it was carried out.

        Raises:
            RegistryUnavailable: MLflow cannot be reached.
        """
        run_id = self._settings.run_id
        current = self._current()
        if not run_id or current is None:
            return bool(run_id)
        env, _ = self._request
        last = self.registry.requested_run(self._use_case.name, env) if env else None
        if last is None:  # an earlier version deployed it, and remembered no request
            served = {change.version.run_id for change in self.history.changes()}
            return run_id not in served and not run_id == current.alias == PRODUCTION
        return run_id != last

    def confirm_served(self) -> str:
        """Wait until every door serves the run that the registry names, and say why it was not changed.

        Raises:
            as `deploy`.
        """
        version = self.registry.served(self._use_case.name)
        self._cache.load(version).scorer(self._use_case)
        doors = addresses(self._settings)
        headers = bearer(self._settings)
        refused = {door: ask(door, headers).get("refused") for door in doors}
        seconds = wait_for(version.run_id, doors, refused, headers)
        self._remember_request()
        lines = [f"all doors are serving run {version.run_id} (took {seconds:.1f} s)"]
        if (run_id := self._settings.run_id) and run_id != version.run_id:
            lines.append(
                f"RUN_ID={run_id} is not deployed, because it was deployed before: change RUN_ID, or run `make deploy`"
            )
        if hold := self.registry.hold(self._use_case.name):
            lines.append(f"held by {hold.who} ({hold.why}): no promotion until `make lift-hold`")
        return "\n".join(lines)

    def deploy(self, version: Version, alias: str, why: str, hold: Hold | None = None) -> float:
        """Verify `version` as a door would, move `alias` to it, and return the seconds until every door served it.

        With `hold` it is a return to a version that served before. Without, any hold ends: a person chose this run.

        Raises:
            BundleError, CacheUnavailable, RunNotFound, RegistryUnavailable, Refused: the previous run still serves.
            NotFollowed: the registry names the new version, but not every door serves it.
        """
        self._cache.load(version).scorer(self._use_case)
        doors = addresses(self._settings)
        headers = bearer(self._settings)
        refused_before = {door: ask(door, headers).get("refused") for door in doors}
        before = self._current()
        self._write_desired(Desired(version, alias, hold))
        if before is None or before.version != version:
            self.history.note(version, self.author, why, back=hold is not None)
        try:
            seconds = wait_for(version.run_id, doors, refused_before, headers)
        except NotFollowed:
            self._remember_request()
            raise
        except Refused as refusal:
            if before is None or before.version == version:
                raise
            self._write_desired(before, moved=alias)
            self.history.note(before.version, self.author, str(refusal), back=True)
            raise Refused(f"run {version.run_id}: {refusal}; still serving run {before.version.run_id}") from refusal
        self._remember_request()
        return seconds

    def _write_desired(self, desired: Desired, moved: str = "") -> None:
        """Write what should serve. A hold is there before its alias moves, and stays until the alias has moved.

        `moved` is the only alias that was moved before, if any; another one that doors followed is followed again as
        it is, because somebody may have moved it meanwhile.
        """
        name = self._use_case.name
        if desired.hold:
            self.registry.set_hold(name, desired.hold)
        if moved in {"", desired.alias}:
            self.registry.set_alias(name, desired.alias, desired.version)
        self.registry.follow(name, desired.alias)
        if desired.hold is None:
            self.registry.lift_hold(name)

    def _current(self) -> Desired | None:
        name = self._use_case.name
        try:
            return Desired(self.registry.served(name), self.registry.followed(name), self.registry.hold(name))
        except RunNotFound:
            return None

    @property
    def _request(self) -> tuple[str, str]:
        """The env's name and its files' RUN_ID; two empty texts if no env file was read."""
        env, _, run_id = self._settings.run_id_in_files.rpartition(":")
        return env, run_id

    def _remember_request(self) -> None:
        """Remember the env files' RUN_ID as carried out until it changes, whatever was deployed instead."""
        env, run_id = self._request
        if env:
            self.registry.remember_request(self._use_case.name, env, run_id)

    @property
    def author(self) -> str:
        """The name that the history records for a change."""
        return self._settings.changed_by or getpass.getuser()


def run_or_exit(command: str, change: Callable[[], str]) -> None:
    """Call `change` and print what it returns; if it fails, end with status 1 and one line."""
    try:
        result = change()
    except (NotFollowed, ScorehouseError) as error:
        sys.exit(f"{command}: {error}")
    sys.stdout.write(f"{result}\n")


def main() -> None:
    """Deploy and print how long it took; status 1 and one line if nothing was changed, or a door did not follow."""
    if_changed = sys.argv[1:] == ["--if-changed"]
    settings = settings_or_exit()
    if not settings.run_id and not if_changed:
        sys.exit(
            "deploy: RUN_ID is empty, so nothing was changed: run `RUN_ID=<run ID> make deploy`, "
            "or RUN_ID=production to follow MLflow's alias production"
        )

    def change() -> str:
        deployer = Deployer(settings)
        if if_changed and not deployer.is_due():
            return deployer.confirm_served()
        version, alias = deployer.resolve()
        seconds = deployer.deploy(version, alias, settings.why or f"RUN_ID={settings.run_id}")
        return f"all doors are serving run {version.run_id} (took {seconds:.1f} s)"

    run_or_exit("deploy", change)


if __name__ == "__main__":
    main()
