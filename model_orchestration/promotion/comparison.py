"""Judges challenger and champions on the same held-out rows by the use case's metric. The winner gets the alias."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model_orchestration.promotion.rule import RESAMPLES, Candidate, Rule, choose_alias
from model_orchestration.tables import windows
from model_orchestration.tables.training_table import (
    SPLIT_TAG,
    TrainingTable,
    describe_split,
    knows_test_rows,
    split_rows,
)
from scorehouse.bundles.cache import BundleCache
from scorehouse.errors import AliasMoved, BundleError, RunNotFound, TableError
from scorehouse.registry.client import Registry, Version
from scorehouse.registry.history import History, rolled_back
from scorehouse.scoring.quality import better, quality, quality_by
from scorehouse.scoring.schema import Rejected
from scorehouse.usecase import UseCase

WINDOW_TAG = "test_window"  # of a run: the number of the window that judged it
USES_TAG = "test_window_uses"  # of a run: how often that window had judged by then, this time included


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a comparison.

    `alias` is what the challenger wins, None if it wins nothing. `holders` has the holder of each alias before any
    change, the best alias first. `win_shares` says for some aliases on which share of resampled sets of rows the
    challenger is better than the holder. `uses` counts how often these rows have judged, this time included.
    `reservations` are reasons for which a person has to decide; `refusals` are reasons for which nobody may promote it.
    """

    rule: Rule
    rows: int
    challenger: Candidate
    holders: Mapping[str, Candidate | None]
    alias: str | None
    win_shares: Mapping[str, float] = field(default_factory=dict)
    uses: int = 1
    reservations: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()

    def is_promoted(self, by_person: bool) -> bool:
        """Return whether a person, or else the rule alone, may promote the challenger."""
        return self.alias is not None and not self.refusals and (by_person or not self.reservations)

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

    def __init__(
        self,
        use_case: UseCase,
        table: TrainingTable,
        seed: int,
        registry: Registry,
        cache: BundleCache,
        confidence: float = 0.95,
    ):
        """Take the test rows of `table`. Raises TableError if there are none."""
        self._use_case = use_case
        self._table = table
        self._split = describe_split(table, use_case, seed)
        self._registry = registry
        self._cache = cache
        self._window = windows.assign_windows(table.keys, seed, split_rows(table, use_case, seed))
        if (self._window < 0).all():
            raise TableError(f"the table for {use_case.name} has no held-out rows, so models cannot be compared on it")
        self.rule = Rule.of(use_case, confidence)

    def judge(self, challenger: Version) -> Verdict:
        """Compare `challenger` with the holders of the use case's aliases, and count that the rows were used.

        Rows that have judged the challenger before judge it again. This is not counted, and neither is a comparison
        without another holder, or with the same model. No alias is moved.

        Raises:
            BundleError, CacheUnavailable, RegistryUnavailable: the challenger cannot be judged, or MLflow is down.
        """
        state = self._windows()
        before = self._registry.run_tags(challenger.run_id).get(WINDOW_TAG, "")
        is_repeated = before.isdigit() and int(before) < len(state) and state[int(before)].uses > 0
        number = int(before) if is_repeated else windows.choose(state)
        rows = np.flatnonzero(self._window == number)
        candidate = self._score(challenger, rows)
        if candidate.problem:
            raise BundleError(candidate.problem)
        holders = {alias: self._holder(alias, rows) for alias in self._use_case.promotes_to}
        was_used_up = state[number].is_used_up
        others = [h for h in holders.values() if h is not None and not h.problem]
        if not is_repeated and any(not np.array_equal(h.predictions, candidate.predictions) for h in others):
            state = windows.use(state, number)
            self._registry.set_tag(self._use_case.name, windows.TAG, windows.to_json(state))
            self._registry.tag_run(challenger.run_id, WINDOW_TAG, str(number))
            self._registry.tag_run(challenger.run_id, USES_TAG, str(state[number].uses))
        shares = self._win_shares(candidate, holders, rows)
        alias = choose_alias(self.rule, candidate, holders, shares)
        reservations = []
        if alias is not None and (holder := holders[alias]) is not None:
            if was_used_up and not is_repeated:
                reservations.append(
                    f"all held-out rows have judged {windows.USES} models or more, so it may win by chance "
                    "(train with more or newer rows)"
                )
            reservations += self._find_reservations(candidate, holder, alias, rows)
        return Verdict(
            rule=self.rule,
            rows=len(rows),
            challenger=candidate,
            holders=holders,
            alias=alias,
            win_shares=shares,
            uses=state[number].uses,
            reservations=tuple(reservations),
            refusals=tuple(self._find_refusals(challenger)),
        )

    def promote(
        self,
        verdict: Verdict,
        why: str,
        who: str = "promotion rule",
        by_person: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Move the aliases as the verdict says. If doors follow one of them, note in the history who did it and why.

        `check` is called before each move, and raises if this promotion is no longer the only one.

        Raises:
            AliasMoved: a holder is not the one that was compared. Nothing was moved unless it was between two moves.
            RegistryUnavailable: MLflow is down. Repeat the call later.
        """
        if not verdict.is_promoted(by_person):
            return
        name = self._use_case.name
        if refusals := self._find_refusals(verdict.challenger.version):
            raise AliasMoved(f"a person stepped in meanwhile, so nothing was promoted: {'; '.join(refusals)}")
        holders = {alias: holder.version if holder else None for alias, holder in verdict.holders.items()}
        for alias, holder in holders.items():
            if self._now(alias) != holder:
                raise AliasMoved(f"alias {alias!r} of model {name} was moved meanwhile; compare again")
        for alias, version in reversed(verdict.moves):  # the best alias last, so that no version holds two
            check()
            self._registry.move_alias(name, alias, version, holders[alias])
            if self._registry.followed(name) == alias:
                History(self._registry, name).note(version, who, why)

    def _windows(self) -> list[windows.Window]:
        keys = np.array(self._table.keys, dtype=object)
        present = [windows.sketch(keys[self._window == number].tolist()) for number in range(windows.WINDOWS)]
        return windows.renew(windows.from_json(self._registry.tags(self._use_case.name).get(windows.TAG, "")), present)

    def _find_refusals(self, challenger: Version) -> list[str]:
        name = self._use_case.name
        refusals = []
        if hold := self._registry.hold(name):
            refusals.append(f"{hold.who} went back from run {hold.left[:8]} ({hold.why}), and the hold is not lifted")
        if challenger.run_id in rolled_back(History(self._registry, name).changes()):
            refusals.append("it was rolled back, and only a deployment (`make deploy`) brings it back")
        return refusals

    def _find_reservations(
        self, challenger: Candidate, holder: Candidate, alias: str, rows: NDArray[np.intp]
    ) -> list[str]:
        """Return why the comparison with the holder of `alias` cannot be trusted without a person."""
        if holder.problem:
            return [f"`{alias}` cannot be compared: {holder.problem}"]
        everybody = {sender for sender in self._table.senders if sender}
        if len(everybody) == 1:
            return [f"all outcomes come from one sender ({everybody.pop()})"]
        senders = np.array(self._table.senders, dtype=object)[rows]
        for sender in sorted(everybody):
            rest = np.flatnonzero(senders != sender)
            figures = [self._figure(candidate, rows, rest) for candidate in (challenger, holder)]
            if len(rest) < len(rows) and not self.rule.passes_margin(*figures):
                return [f"it rests on the outcomes of one sender ({sender}): without them it does not win"]
        return []

    def _figure(self, candidate: Candidate, rows: NDArray[np.intp], chosen: NDArray[np.intp]) -> float | None:
        truth = self._table.truth[rows][chosen]
        return quality_by(self.rule.metric, self._use_case.task, truth, candidate.predictions[chosen])

    def _now(self, alias: str) -> Version | None:
        try:
            return self._registry.version_by_alias(self._use_case.name, alias)
        except RunNotFound:
            return None

    def _holder(self, alias: str, rows: NDArray[np.intp]) -> Candidate | None:
        version = self._now(alias)
        return None if version is None else self._score(version, rows)

    def _score(self, version: Version, rows: NDArray[np.intp]) -> Candidate:
        # Before runs were tagged, rows without a key were split in another way, and none by time.
        untagged = self._split if self._use_case.key and not self._use_case.split_by else "an older one"
        split = self._registry.run_tags(version.run_id).get(SPLIT_TAG, untagged)
        if knows_test_rows(split, self._split):
            return Candidate(
                version,
                problem=f"run {version.run_id} was trained with another split of the rows ({split}, now {self._split}) "
                "and may know the rows that would judge it",
            )
        try:
            scorer = self._cache.load(version).scorer(self._use_case)
        except BundleError as error:
            return Candidate(version, problem=str(error))
        answers = scorer.score([self._table.records[i] for i in rows])
        rejected = [answer for answer in answers if isinstance(answer, Rejected)]
        if rejected:
            problem = f"run {version.run_id} cannot score {len(rejected)} rows: {rejected[0].reason}"
            return Candidate(version, problem=problem)
        predictions = np.array(answers, dtype=np.float64)
        figures = quality(self._use_case.task, self._table.truth[rows], predictions)
        metric = self.rule.metric
        problem = "" if metric in figures else f"the {metric} of run {version.run_id} is undefined on these rows"
        return Candidate(version, predictions, figures, problem)

    def _win_shares(
        self, challenger: Candidate, holders: Mapping[str, Candidate | None], rows: NDArray[np.intp]
    ) -> dict[str, float]:
        """Return the win share against each holder that is beaten by the margin: only there it decides."""
        metric = self.rule.metric
        return {
            alias: self._win_share(challenger, holder, rows)
            for alias, holder in holders.items()
            if holder is not None
            and not holder.problem
            and self.rule.passes_margin(challenger.figures[metric], holder.figures[metric])
        }

    def _win_share(self, challenger: Candidate, holder: Candidate, rows: NDArray[np.intp]) -> float:
        rng = np.random.default_rng(0)
        wins = 0
        for _ in range(RESAMPLES):
            chosen = rng.integers(0, len(rows), len(rows))
            a, b = (self._figure(candidate, rows, chosen) for candidate in (challenger, holder))
            wins += a is not None and b is not None and better(self.rule.metric, a, b)
        return wins / RESAMPLES
