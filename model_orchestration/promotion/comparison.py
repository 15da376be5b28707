"""Champion and challenger judged on the same held-out rows by the use case's rule; who wins gets the alias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model_orchestration.tables.training_table import TEST, TrainingTable, assign_splits
from scorehouse.bundles.cache import BundleCache
from scorehouse.errors import BundleError, RunNotFound, TableError
from scorehouse.registry.client import Registry, Version
from scorehouse.registry.history import History
from scorehouse.scoring.quality import better, quality
from scorehouse.scoring.schema import Rejected
from scorehouse.usecase import UseCase

RESAMPLES = 200


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version, its predictions (n,) of the held-out rows and its figures; without them, why it gives none."""

    version: Version
    predictions: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    figures: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rule says: `alias` is what the challenger wins, None for nothing; `holders` as they were before."""

    metric: str
    rows: int
    challenger: Candidate
    holders: Mapping[str, Candidate | None]  # by alias, best first
    alias: str | None
    sure: float  # share of resampled sets of rows on which the challenger is better than who holds the best alias

    @property
    def moves(self) -> list[tuple[str, Version]]:
        """Who gets which alias: the challenger its own, and who loses one the next below."""
        if self.alias is None:
            return []
        aliases = list(self.holders)
        below = aliases[aliases.index(self.alias) :]
        coming: list[Version] = [self.challenger.version]
        for alias in below:
            holder = self.holders[alias]
            if holder is None or holder.version == self.challenger.version:
                break
            coming.append(holder.version)
        return list(zip(below, coming, strict=False))


class Promotion:
    """One use case's models, and the rows that none of them was trained on: a key's hash keeps a row on its side."""

    def __init__(self, use_case: UseCase, table: TrainingTable, seed: int, registry: Registry, cache: BundleCache):
        """Take the test rows of `table`. Raises TableError where there are none."""
        self._use_case, self._registry, self._cache = use_case, registry, cache
        held_out = np.flatnonzero(assign_splits(table.keys, seed, use_case.split) == TEST)
        if not len(held_out):
            raise TableError(f"the table for {use_case.name} has no held-out rows to judge models on")
        self._records = [table.records[i] for i in held_out]
        self._truth = table.truth[held_out]
        self.metric = use_case.promote_by or use_case.rank_by

    def newest(self) -> Version:
        """Return the version that was registered last. Raises RunNotFound, RegistryUnavailable."""
        versions = [version for version, _ in self._registry.tagged_versions(self._use_case.name)]
        if not versions:
            raise RunNotFound(f"no model for {self._use_case.name} is registered yet: train one")
        return max(versions, key=lambda version: int(version.number))

    def judge(self, challenger: Version) -> Verdict:
        """Compare `challenger` with who holds the use case's aliases; change nothing.

        Raises:
            BundleError, CacheUnavailable, RegistryUnavailable: the challenger cannot be scored, or MLflow is down.
        """
        judged = self._judged(challenger)
        if judged.problem:
            raise BundleError(judged.problem)
        holders = {alias: self._holder(alias) for alias in self._use_case.promotes_to}
        alias = decide(self.metric, judged, holders)
        best = next(iter(holders.values()))
        return Verdict(self.metric, len(self._records), judged, holders, alias, self._sure(judged, best))

    def promote(self, verdict: Verdict, why: str, who: str = "promotion rule") -> None:
        """Move the aliases as the verdict says; write why into the history where doors follow one of them.

        Raises:
            RegistryUnavailable: MLflow is down; do it again.
        """
        name = self._use_case.name
        for alias, version in reversed(verdict.moves):  # the best alias last: nobody has two meanwhile
            self._registry.set_alias(name, alias, version)
            if self._registry.followed(name) == alias:
                History(self._registry, name).note(version, who, why)

    def _holder(self, alias: str) -> Candidate | None:
        try:
            return self._judged(self._registry.version_by_alias(self._use_case.name, alias))
        except RunNotFound:
            return None

    def _judged(self, version: Version) -> Candidate:
        try:
            answers = self._cache.load(version).scorer(self._use_case).score(self._records)
        except BundleError as error:
            return Candidate(version, problem=str(error))
        refused = [answer for answer in answers if isinstance(answer, Rejected)]
        if refused:
            return Candidate(
                version, problem=f"run {version.run_id} cannot score {len(refused)} rows: {refused[0].reason}"
            )
        predictions = np.array(answers, dtype=np.float64)
        figures = quality(self._use_case.task, self._truth, predictions)
        undefined = (
            "" if self.metric in figures else f"run {version.run_id}: its {self.metric} is undefined on these rows"
        )
        return Candidate(version, predictions, figures, undefined)

    def _sure(self, challenger: Candidate, holder: Candidate | None) -> float:
        if holder is None or holder.problem:
            return 1.0
        rng, n = np.random.default_rng(0), len(self._truth)
        wins = 0
        for _ in range(RESAMPLES):
            rows = rng.integers(0, n, n)
            a, b = (
                quality(self._use_case.task, self._truth[rows], m.predictions[rows]).get(self.metric)
                for m in (challenger, holder)
            )
            wins += a is not None and b is not None and better(self.metric, a, b)
        return wins / RESAMPLES


def decide(metric: str, challenger: Candidate, holders: Mapping[str, Candidate | None]) -> str | None:
    """Return the best alias that `challenger` wins by `metric`; None where it wins none, or has it already."""
    for alias, holder in holders.items():
        if holder is not None and holder.version == challenger.version:
            return None
        if holder is None or holder.problem or better(metric, challenger.figures[metric], holder.figures[metric]):
            return alias
    return None
