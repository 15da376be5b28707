"""Judges challenger and champions on the same held-out rows by the use case's metric. The winner gets the alias."""

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
from scorehouse.scoring.quality import better, quality, quality_by
from scorehouse.scoring.schema import Rejected
from scorehouse.usecase import UseCase

RESAMPLES = 200


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version with its predictions for the held-out rows, (n,), and its figures; or why it has none (`problem`)."""

    version: Version
    predictions: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    figures: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a comparison.

    `alias` is what the challenger wins, None if it wins nothing. `holders` has the holder of each alias before any
    change, the best alias first. `win_share` is the share of resampled sets of rows on which the challenger is better
    than the holder of the best alias.
    """

    metric: str
    rows: int
    challenger: Candidate
    holders: Mapping[str, Candidate | None]
    alias: str | None
    win_share: float

    @property
    def moves(self) -> list[tuple[str, Version]]:
        """Which version gets which alias: the challenger its own, each version that it replaces the next below."""
        if self.alias is None:
            return []
        aliases = list(self.holders)
        affected = aliases[aliases.index(self.alias) :]
        versions = [self.challenger.version]
        for alias in affected:
            holder = self.holders[alias]
            if holder is None or holder.version == self.challenger.version:
                break
            versions.append(holder.version)
        return list(zip(affected, versions, strict=False))


class Promotion:
    """The models of one use case, and rows that no model was trained on: a row's split follows from its key."""

    def __init__(self, use_case: UseCase, table: TrainingTable, seed: int, registry: Registry, cache: BundleCache):
        """Take the test rows of `table`. Raises TableError if there are none."""
        self._use_case = use_case
        self._registry = registry
        self._cache = cache
        held_out = np.flatnonzero(assign_splits(table.keys, seed, use_case.split) == TEST)
        if not len(held_out):
            raise TableError(f"the table for {use_case.name} has no held-out rows, so models cannot be compared on it")
        self._records = [table.records[i] for i in held_out]
        self._truth = table.truth[held_out]
        self.metric = use_case.promote_by or use_case.rank_by

    def judge(self, challenger: Version) -> Verdict:
        """Compare `challenger` with the holders of the use case's aliases. Change nothing.

        Raises:
            BundleError, CacheUnavailable, RegistryUnavailable: the challenger cannot be judged, or MLflow is down.
        """
        candidate = self._score(challenger)
        if candidate.problem:
            raise BundleError(candidate.problem)
        holders = {alias: self._holder(alias) for alias in self._use_case.promotes_to}
        champion = next(iter(holders.values()))
        return Verdict(
            metric=self.metric,
            rows=len(self._records),
            challenger=candidate,
            holders=holders,
            alias=choose_alias(self.metric, candidate, holders),
            win_share=self._win_share(candidate, champion),
        )

    def promote(self, verdict: Verdict, why: str, who: str = "promotion rule") -> None:
        """Move the aliases as the verdict says. If doors follow one of them, note in the history who did it and why.

        Raises:
            RegistryUnavailable: MLflow is down. Repeat the call later.
        """
        name = self._use_case.name
        for alias, version in reversed(verdict.moves):  # the best alias last, so that no version holds two
            self._registry.set_alias(name, alias, version)
            if self._registry.followed(name) == alias:
                History(self._registry, name).note(version, who, why)

    def _holder(self, alias: str) -> Candidate | None:
        try:
            return self._score(self._registry.version_by_alias(self._use_case.name, alias))
        except RunNotFound:
            return None

    def _score(self, version: Version) -> Candidate:
        try:
            answers = self._cache.load(version).scorer(self._use_case).score(self._records)
        except BundleError as error:
            return Candidate(version, problem=str(error))
        rejected = [answer for answer in answers if isinstance(answer, Rejected)]
        if rejected:
            problem = f"run {version.run_id} cannot score {len(rejected)} rows: {rejected[0].reason}"
            return Candidate(version, problem=problem)
        predictions = np.array(answers, dtype=np.float64)
        figures = quality(self._use_case.task, self._truth, predictions)
        defined = self.metric in figures
        problem = "" if defined else f"the {self.metric} of run {version.run_id} is undefined on these rows"
        return Candidate(version, predictions, figures, problem)

    def _win_share(self, challenger: Candidate, holder: Candidate | None) -> float:
        if holder is None or holder.problem:
            return 1.0
        rng = np.random.default_rng(0)
        n = len(self._truth)
        wins = 0
        for _ in range(RESAMPLES):
            rows = rng.integers(0, n, n)
            a, b = (
                quality_by(self.metric, self._use_case.task, self._truth[rows], m.predictions[rows])
                for m in (challenger, holder)
            )
            wins += a is not None and b is not None and better(self.metric, a, b)
        return wins / RESAMPLES


def choose_alias(metric: str, challenger: Candidate, holders: Mapping[str, Candidate | None]) -> str | None:
    """Return the best alias that `challenger` wins by `metric`; None if it wins none or already has the best it can."""
    for alias, holder in holders.items():
        if holder is not None and holder.version == challenger.version:
            return None
        if holder is None or holder.problem or better(metric, challenger.figures[metric], holder.figures[metric]):
            return alias
    return None
