"""A registry and a cache of bundles in memory, and models that guess."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from model_orchestration.tables.training_table import TrainingTable
from model_orchestration.tables.windows import TAG, from_json
from scorehouse.bundles.bundle import Bundle
from scorehouse.bundles.cache import BundleCache
from scorehouse.bundles.signatures import Trust
from scorehouse.errors import BundleError, RunNotFound
from scorehouse.registry.client import Hold, Registry, Version


class HasBundle(Protocol):
    """A model made or trained for tests."""

    def bundle(self) -> Bundle: ...


class FakeRegistry(Registry):
    """A few versions, who holds which alias, and tags."""

    def __init__(self) -> None:
        super().__init__("http://registry")
        self.aliases: dict[str, Version] = {}
        self.notes: list[tuple[Version, dict[str, str]]] = []
        self.model_tags: dict[str, str] = {}
        self.tags_of_runs: dict[str, dict[str, str]] = {}
        self.held: Hold | None = None

    def version_by_alias(self, use_case: str, alias: str) -> Version:
        if alias not in self.aliases:
            raise RunNotFound(alias)
        return self.aliases[alias]

    def set_alias(self, use_case: str, alias: str, version: Version) -> None:
        self.aliases[alias] = version

    def followed(self, use_case: str) -> str:
        return "production"

    def tag_version(self, use_case: str, version: Version, key: str, value: str) -> None:
        self.notes.append((version, {key: value}))

    def tagged_versions(self, use_case: str) -> Iterator[tuple[Version, dict[str, str]]]:
        yield from self.notes

    def hold(self, use_case: str) -> Hold | None:
        return self.held

    def tags(self, use_case: str) -> dict[str, str]:
        return dict(self.model_tags)

    def set_tag(self, use_case: str, key: str, value: str) -> None:
        self.model_tags[key] = value

    def run_tags(self, run_id: str) -> dict[str, str]:
        return dict(self.tags_of_runs.get(run_id, {}))

    def tag_run(self, run_id: str, key: str, value: str) -> None:
        self.tags_of_runs.setdefault(run_id, {})[key] = value

    @property
    def uses(self) -> list[int]:
        """How often each window has judged."""
        return [window.uses for window in from_json(self.model_tags.get(TAG, ""))]


class FakeCache(BundleCache):
    """The toy's bundle for every version but those that are damaged."""

    def __init__(self, folder: Path, registry: Registry, toy: HasBundle):
        super().__init__(folder, registry, Trust(()))
        self.toy, self.damaged = toy, set[Version]()
        self.errors: dict[Version, dict[int, float]] = {}

    def load(self, version: Version) -> Any:
        if version in self.damaged:
            raise BundleError(f"run {version.run_id} is damaged")
        return Guesses(self.errors[version]) if version in self.errors else self.toy.bundle()


class Guesses:
    """A bundle whose model knows the truth but for an error of its own in each row (`errors`, one per record id)."""

    def __init__(self, errors: dict[int, float]):
        self.errors = errors

    def scorer(self, use_case: Any) -> Guesses:
        return self

    def score(self, records: list[dict[str, Any]]) -> list[float]:
        return [self.errors[id(record)] for record in records]


def guess(cache: FakeCache, table: TrainingTable, version: Version, chance: float) -> None:
    """Let `version` give the truth this chance in every row."""
    cache.errors[version] = {
        id(record): chance if truth else 1 - chance
        for record, truth in zip(table.records, table.truth.tolist(), strict=True)
    }
