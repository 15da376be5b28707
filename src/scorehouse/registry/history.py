"""Which version served when, who changed that, and why: kept in the registry, as tags of the versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import orjson

from scorehouse.registry.client import Registry, Version

PREFIX = "served."  # and the time: a version that served twice has two such tags
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class Change:
    """From `at` (UTC) on `version` should serve; `back` marks a return to a version that served before."""

    at: datetime
    version: Version
    who: str
    why: str
    back: bool = False


def _now() -> datetime:
    return datetime.now(UTC)


class History:
    """The changes of one use case."""

    def __init__(self, registry: Registry, use_case: str, now: Callable[[], datetime] = _now):
        """Ask the registry nothing yet."""
        self._registry = registry
        self._use_case = use_case
        self._now = now

    def note(self, version: Version, who: str, why: str, back: bool = False) -> None:
        """Record that `version` serves from now on. Raises RunNotFound, RegistryUnavailable."""
        about = orjson.dumps({"who": who, "why": why, "back": back}).decode()
        self._registry.tag_version(self._use_case, version, f"{PREFIX}{self._now():{_TIME}}", about)

    def changes(self) -> list[Change]:
        """Return every change, oldest first. Raises RegistryUnavailable."""
        found = [
            _change(version, key, value)
            for version, tags in self._registry.tagged_versions(self._use_case)
            for key, value in tags.items()
            if key.startswith(PREFIX)
        ]
        return sorted((change for change in found if change is not None), key=lambda change: change.at)


def way_back(changes: Sequence[Change], now: Version) -> Version | None:
    """Return the version to go back to from `now`. Each return goes a step further, never to a version it left."""
    served: list[Version] = []
    for change in changes:
        if change.back and change.version in served:
            while served[-1] != change.version:
                served.pop()
        elif not served or served[-1] != change.version:
            served.append(change.version)
    if not served or served[-1] != now:  # moved in MLflow itself, and not recorded yet
        served.append(now)
    return served[-2] if len(served) > 1 else None


def rolled_back(changes: Sequence[Change]) -> set[str]:
    """Return the runs that a rollback replaced and that no person deployed again: they must not be promoted."""
    left: set[str] = set()
    for before, change in pairwise(changes):
        if change.back:
            left.add(before.version.run_id)
        left.discard(change.version.run_id)
    return left


def _change(version: Version, key: str, value: str) -> Change | None:
    """A change from a tag, or None if another program wrote the tag."""
    try:
        at = datetime.strptime(key.removeprefix(PREFIX), _TIME).replace(tzinfo=UTC)
        about = orjson.loads(value)
        return Change(at, version, str(about["who"]), str(about["why"]), bool(about["back"]))
    except (ValueError, KeyError, TypeError):
        return None
