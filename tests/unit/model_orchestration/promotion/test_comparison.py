"""Challenger and champion: the same held-out rows, the use case's own metric, and which alias moves where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_orchestration.promotion.comparison import Candidate, Promotion, Verdict, choose_alias
from model_orchestration.promotion.report import summarize, write_report
from model_orchestration.tables.training_table import TEST, assign_splits
from scorehouse.bundles.cache import BundleCache
from scorehouse.bundles.signatures import Trust
from scorehouse.errors import BundleError, RunNotFound, TableError
from scorehouse.registry.client import Registry, Version
from scorehouse.scoring.quality import quality
from tests.unit.toy import Toy

A, B, C = (Version(str(i + 1), letter * 32, None) for i, letter in enumerate("abc"))


def judged(version: Version, kappa: float) -> Candidate:
    return Candidate(version, np.empty(0), {"kappa": kappa})


def verdict(challenger: Candidate, **holders: Candidate | None) -> Verdict:
    return Verdict("kappa", 100, challenger, holders, choose_alias("kappa", challenger, holders), 0.9)


def test_the_better_one_becomes_production_and_the_old_one_moves_down() -> None:
    won = verdict(judged(C, 0.8), production=judged(A, 0.7), staging=judged(B, 0.6))
    assert won.moves == [("production", C), ("staging", A)]


def test_better_than_staging_alone_leaves_production_where_it_is() -> None:
    assert verdict(judged(C, 0.65), production=judged(A, 0.7), staging=judged(B, 0.6)).moves == [("staging", C)]


def test_the_staging_one_that_beats_production_changes_places_with_it() -> None:
    won = verdict(judged(B, 0.8), production=judged(A, 0.7), staging=judged(B, 0.6))
    assert won.moves == [("production", B), ("staging", A)]


def test_a_challenger_that_is_not_better_gets_nothing_and_equal_is_not_better() -> None:
    assert verdict(judged(C, 0.7), production=judged(A, 0.7)).moves == []
    assert verdict(judged(A, 0.7), production=judged(A, 0.7), staging=None).moves == []


def test_the_first_model_takes_the_best_alias_and_so_does_one_whose_champion_cannot_answer() -> None:
    assert verdict(judged(C, 0.1), production=None, staging=None).moves == [("production", C)]
    broken = Candidate(A, problem="it is damaged")
    assert verdict(judged(C, 0.1), production=broken).moves == [("production", C)]


def test_lower_is_better_where_the_metric_is_a_loss() -> None:
    loss = [Candidate(v, np.empty(0), {"log_loss": x}) for v, x in ((C, 0.2), (A, 0.3))]
    assert choose_alias("log_loss", loss[0], {"production": loss[1]}) == "production"


class FakeRegistry(Registry):
    """Two versions, and who holds which alias."""

    def __init__(self) -> None:
        super().__init__("http://registry")
        self.aliases: dict[str, Version] = {}
        self.notes: list[tuple[Version, str]] = []

    def version_by_alias(self, use_case: str, alias: str) -> Version:
        if alias not in self.aliases:
            raise RunNotFound(alias)
        return self.aliases[alias]

    def set_alias(self, use_case: str, alias: str, version: Version) -> None:
        self.aliases[alias] = version

    def followed(self, use_case: str) -> str:
        return "production"

    def tag_version(self, use_case: str, version: Version, key: str, value: str) -> None:
        self.notes.append((version, value))


class FakeCache(BundleCache):
    """The toy's bundle for every version but those that are damaged."""

    def __init__(self, folder: Path, registry: Registry, toy: Toy):
        super().__init__(folder, registry, Trust(()))
        self.toy, self.damaged = toy, set[Version]()

    def load(self, version: Version) -> Any:
        if version in self.damaged:
            raise BundleError(f"run {version.run_id} is damaged")
        return self.toy.bundle()


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def cache(registry: FakeRegistry, toy: Toy, tmp_path: Path) -> FakeCache:
    return FakeCache(tmp_path, registry, toy)


@pytest.fixture
def promotion(registry: FakeRegistry, cache: FakeCache, toy: Toy) -> Promotion:
    return Promotion(toy.use_case, toy.table, 0, registry, cache)


def test_models_are_judged_on_the_rows_that_no_training_saw(promotion: Promotion, toy: Toy) -> None:
    table = toy.table
    held_out = assign_splits(table.keys, 0, toy.use_case.split) == TEST
    answers = toy.bundle().scorer(toy.use_case).score([table.records[i] for i in np.flatnonzero(held_out)])
    expected = quality(toy.use_case.task, table.truth[held_out], np.array(answers, dtype=float))
    found = promotion.judge(A)
    assert found.challenger.figures == expected
    assert found.rows == held_out.sum() > 50
    assert found.metric == "log_loss"


def test_a_challenger_that_cannot_be_scored_changes_nothing(
    promotion: Promotion, cache: FakeCache, registry: FakeRegistry
) -> None:
    cache.damaged.add(A)
    with pytest.raises(BundleError, match="is damaged"):
        promotion.judge(A)
    assert registry.aliases == {}


def test_promoting_moves_the_alias_and_notes_the_reason_in_the_history(
    promotion: Promotion, registry: FakeRegistry
) -> None:
    promotion.promote(promotion.judge(A), "it is the first")
    assert registry.aliases == {"production": A}
    ((version, note),) = registry.notes
    assert version == A and "it is the first" in note
    promotion.promote(promotion.judge(B), "the same model is not better")
    assert registry.aliases == {"production": A}


def test_a_table_without_held_out_rows_cannot_judge_models(registry: FakeRegistry, cache: FakeCache, toy: Toy) -> None:
    table = toy.table
    kept = int(np.flatnonzero(assign_splits(table.keys, 0, toy.use_case.split) != TEST)[0])
    one = replace(table, records=[table.records[kept]], truth=table.truth[[kept]], keys=[table.keys[kept]])
    with pytest.raises(TableError, match="no held-out rows"):
        Promotion(toy.use_case, one, 0, registry, cache)


def test_the_report_says_first_what_to_do_and_then_every_figure_side_by_side() -> None:
    lines = write_report(
        "Will it rain?", verdict(judged(C, 0.8), production=judged(A, 0.7)), promoted=False
    ).splitlines()
    assert (
        lines[2] == f"Run `{C.run_id}` should be promoted to **production**: `make promote run={C.run_id}` promotes it."
    )
    assert lines[4].startswith("The rule compared: kappa 0.8 vs 0.7 for `production` on the same 100 held-out rows.")
    assert "90%" in lines[4]
    assert lines[-1] == "| **kappa** | 0.8 | 0.7 |"
    done = write_report("", verdict(judged(C, 0.8), production=judged(A, 0.7)), promoted=True)
    assert f"Run `{C.run_id}` is promoted to **production**." in done
    assert "is not promoted" in write_report("", verdict(judged(C, 0.6), production=judged(A, 0.7)), promoted=True)


def test_the_reason_is_one_line_whoever_holds_the_alias() -> None:
    assert (
        summarize(verdict(judged(C, 0.8), production=None))
        == "kappa 0.8 on 100 held-out rows; no current holder of `production`"
    )
    broken = Candidate(A, problem="it is damaged")
    assert summarize(verdict(judged(C, 0.8), production=broken)).endswith(
        "`production` cannot be compared: it is damaged"
    )
    assert summarize(verdict(judged(A, 0.8), production=judged(A, 0.8))).startswith("already holds `production`")
