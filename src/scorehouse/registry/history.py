"""What served when, who or what changed it and why: kept in the registry, as tags of the versions themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from scorehouse.registry.client import Registry, Version

PREFIX = "served."  # and the time: a version that served twice has two such tags
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class Change:
    """From `at` (UTC) on `version` was to serve; `back` marks a return to what served before."""

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
        """Ask nothing yet."""
        self._registry, self._use_case, self._now = registry, use_case, now

    def note(self, version: Version, who: str, why: str, back: bool = False) -> None:
        """Write down that `version` serves from now on. Raises RunNotFound, RegistryUnavailable."""
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
    """Return what a return from `now` leads to: each one goes a step further back, never to what was left behind."""
    served: list[Version] = []
    for change in changes:
        if change.back and change.version in served:
            while served[-1] != change.version:
                served.pop()
        elif not served or served[-1] != change.version:
            served.append(change.version)
    if not served or served[-1] != now:  # moved in MLflow itself, and not written down yet
        served.append(now)
    return served[-2] if len(served) > 1 else None


def _change(version: Version, key: str, value: str) -> Change | None:
    """A change from a tag; None for one that somebody else wrote."""
    try:
        at = datetime.strptime(key.removeprefix(PREFIX), _TIME).replace(tzinfo=UTC)
        about = orjson.loads(value)
        return Change(at, version, str(about["who"]), str(about["why"]), bool(about["back"]))
    except (ValueError, KeyError, TypeError):
        return None
