"""Deploys the run in RUN_ID, `python -m server.deploy`: verifies it, moves the alias, waits for the doors."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable

from scorehouse.bundles.cache import BundleCache
from scorehouse.environment import settings_or_exit
from scorehouse.errors import RunNotFound, ScorehouseError
from scorehouse.registry.client import PRODUCTION, SERVING, Registry, Version
from scorehouse.registry.history import History
from scorehouse.settings import Settings
from scorehouse.usecase import load_use_case
from server.rollout import NotFollowed, Refused, addresses, ask, wait_for


class Deployer:
    """Changes which run serves: the registry names it, doors follow, and the history says why."""

    def __init__(self, settings: Settings):
        """Connect to nothing yet. Raises UseCaseError."""
        self._settings = settings
        self._use_case = load_use_case(settings.use_case)
        self.registry = Registry(settings.mlflow_address)
        self._cache = BundleCache(settings.bundle_folder, self.registry)
        self.history = History(self.registry, self._use_case.name)

    def resolve(self) -> tuple[Version, str]:
        """Return the version in RUN_ID, and the alias through which doors follow it.

        Raises:
            RunNotFound, RegistryUnavailable: there is no such run, or MLflow cannot be reached.
        """
        run_id = self._settings.run_id
        alias = PRODUCTION if run_id == PRODUCTION else SERVING
        return self._cache.ask(self._use_case.name, run_id), alias

    def deploy(self, version: Version, alias: str, why: str, back: bool = False) -> float:
        """Verify `version` as a door would, move `alias` to it, and return the seconds until every door served it.

        Raises:
            BundleError, CacheUnavailable, RunNotFound, RegistryUnavailable, Refused: the previous run still serves.
            NotFollowed: the registry names the new version, but not every door serves it.
        """
        name = self._use_case.name
        self._cache.load(version).scorer(self._use_case)
        doors = addresses(self._settings)
        refused_before = {door: ask(door).get("refused") for door in doors}
        before = self._current()
        self._point(alias, version)
        if before is None or before[0] != version:
            self.history.note(version, self._author, why, back)
        try:
            return wait_for(version.run_id, doors, refused_before)
        except Refused as refusal:
            if before is None or before[0] == version:
                raise
            if before[1] != alias:
                self.registry.follow(name, before[1])
            else:
                self._point(alias, before[0])
            self.history.note(before[0], self._author, str(refusal), back=True)
            raise Refused(f"run {version.run_id}: {refusal}; still serving run {before[0].run_id}") from refusal

    def _point(self, alias: str, version: Version) -> None:
        self.registry.set_alias(self._use_case.name, alias, version)
        self.registry.follow(self._use_case.name, alias)

    def _current(self) -> tuple[Version, str] | None:
        try:
            return self.registry.served(self._use_case.name), self.registry.followed(self._use_case.name)
        except RunNotFound:
            return None

    @property
    def _author(self) -> str:
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
    settings = settings_or_exit()
    if not settings.run_id:
        sys.exit(
            "deploy: RUN_ID is empty, so nothing was changed: run `RUN_ID=<run ID> make deploy`, "
            "or RUN_ID=production to follow MLflow's alias production"
        )

    def change() -> str:
        deployer = Deployer(settings)
        version, alias = deployer.resolve()
        seconds = deployer.deploy(version, alias, settings.why or f"RUN_ID={settings.run_id}")
        return f"all doors are serving run {version.run_id} (took {seconds:.1f} s)"

    run_or_exit("deploy", change)


if __name__ == "__main__":
    main()
