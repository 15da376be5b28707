"""Challenger and champion: the same held-out rows, the use case's own metric, and which alias moves where."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from model_orchestration.promotion import comparison
from model_orchestration.promotion.comparison import USES_TAG, WINDOW_TAG, Promotion, Verdict
from model_orchestration.promotion.report import summarize, write_report
from model_orchestration.promotion.rule import Candidate, Rule, choose_alias
from model_orchestration.tables.training_table import SPLIT_TAG, TEST, assign_splits, describe_split
from model_orchestration.tables.windows import USES, assign_windows
from scorehouse.errors import AliasMoved, BundleError, TableError
from scorehouse.registry.client import Hold, Version
from scorehouse.registry.history import History
from scorehouse.scoring.quality import quality
from tests.unit.model_orchestration.promotion.fakes import FakeCache, FakeRegistry, guess
from tests.unit.toy import Toy

A, B, C = (Version(str(i + 1), letter * 32, None) for i, letter in enumerate("abc"))


def judged(version: Version, kappa: float) -> Candidate:
    return Candidate(version, np.empty(0), {"kappa": kappa})


RULE = Rule("kappa", margin=0.05, sure=0.9)


def verdict(challenger: Candidate, **holders: Candidate | None) -> Verdict:
    shares = dict.fromkeys(holders, 0.9)
    return Verdict(RULE, 100, challenger, holders, choose_alias(RULE, challenger, holders, shares), shares)


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
    rule = replace(RULE, metric="log_loss")
    assert choose_alias(rule, loss[0], {"production": loss[1]}, {"production": 1.0}) == "production"


@pytest.mark.parametrize(
    ("ours", "sure", "wins"),
    [(0.7351, 0.9, True), (0.7349, 1.0, False), (0.9, 0.89, False), (0.6, 1.0, False)],
)
def test_an_alias_is_won_by_the_margin_and_the_confidence_together(ours: float, sure: float, wins: bool) -> None:
    holders = {"production": judged(A, 0.7)}
    assert (choose_alias(RULE, judged(C, ours), holders, {"production": sure}) == "production") is wins


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "RESAMPLES", 40)


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
    test = assign_splits(table.keys, 0, toy.use_case.split) == TEST
    held_out = assign_windows(table.keys, 0, assign_splits(table.keys, 0, toy.use_case.split)) == 0
    assert (test | ~held_out).all() and 0.3 < held_out.sum() / test.sum() < 0.7
    answers = toy.bundle().scorer(toy.use_case).score([table.records[i] for i in np.flatnonzero(held_out)])
    expected = quality(toy.use_case.task, table.truth[held_out], np.array(answers, dtype=float))
    found = promotion.judge(A)
    assert found.challenger.figures == expected
    assert found.rows == held_out.sum() > 40
    assert found.rule.metric == "log_loss"


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
    assert version == A and "it is the first" in "".join(note.values())
    promotion.promote(promotion.judge(B), "the same model is not better")
    assert registry.aliases == {"production": A}


def test_a_table_without_held_out_rows_cannot_judge_models(registry: FakeRegistry, cache: FakeCache, toy: Toy) -> None:
    table = toy.table
    kept = int(np.flatnonzero(assign_splits(table.keys, 0, toy.use_case.split) != TEST)[0])
    one = replace(table, records=[table.records[kept]], truth=table.truth[[kept]], keys=[table.keys[kept]])
    with pytest.raises(TableError, match="no held-out rows"):
        Promotion(toy.use_case, one, 0, registry, cache)


def test_a_clear_winner_is_promoted_and_its_rows_are_counted_once(
    promotion: Promotion, registry: FakeRegistry, cache: FakeCache, toy: Toy
) -> None:
    guess(cache, toy.table, A, 0.7)
    guess(cache, toy.table, B, 0.9)
    registry.aliases["production"] = A
    found = promotion.judge(B)
    assert found.alias == "production" and found.win_shares == {"production": 1.0} and found.is_promoted(False)
    assert registry.uses == [1, 0] and found.uses == 1
    assert registry.run_tags(B.run_id) == {WINDOW_TAG: "0", USES_TAG: "1"}
    promotion.judge(B)  # a person asks again
    assert registry.uses == [1, 0]
    promotion.promote(found, "")
    assert registry.aliases == {"production": B}


def test_the_same_model_again_is_no_use_of_the_rows(promotion: Promotion, registry: FakeRegistry) -> None:
    registry.aliases["production"] = A
    assert promotion.judge(B).alias is None
    assert registry.uses == []


def test_a_window_that_is_used_up_gives_way_to_the_next_and_then_a_person_decides(
    promotion: Promotion, registry: FakeRegistry, cache: FakeCache, toy: Toy
) -> None:
    registry.aliases["production"] = A
    guess(cache, toy.table, A, 0.9)
    judged_by = []
    for number in range(2 * USES):
        version = Version(str(9 + number), f"{number:032x}", None)
        guess(cache, toy.table, version, 0.8)
        promotion.judge(version)
        judged_by.append(registry.run_tags(version.run_id)[WINDOW_TAG])
    assert judged_by == ["0"] * USES + ["1"] * USES and registry.uses == [USES, USES]
    guess(cache, toy.table, B, 0.99)
    found = promotion.judge(B)
    assert found.alias == "production" and "may win by chance" in found.reservations[0]
    promotion.promote(found, "")
    assert registry.aliases == {"production": A}
    promotion.promote(found, "", by_person=True)
    assert registry.aliases == {"production": B}


def test_a_window_is_fresh_again_once_half_of_its_rows_are_new(
    promotion: Promotion, registry: FakeRegistry, cache: FakeCache, toy: Toy
) -> None:
    registry.aliases["production"] = A
    guess(cache, toy.table, A, 0.9)
    guess(cache, toy.table, B, 0.8)
    promotion.judge(B)
    for share, uses in ((5, [2, 0]), (1, [1, 0])):  # the share of the old keys that stay: four fifths, none
        keys = [key if i % 5 < share - 1 else f"new {key}" for i, key in enumerate(toy.table.keys)]
        guess(cache, toy.table, C, 0.8)
        registry.tags_of_runs.clear()
        Promotion(toy.use_case, replace(toy.table, keys=keys), 0, registry, cache).judge(C)
        assert registry.uses == uses


def test_a_holder_that_cannot_be_compared_keeps_its_alias_until_a_person_decides(
    promotion: Promotion, registry: FakeRegistry, cache: FakeCache
) -> None:
    registry.aliases["production"] = A
    cache.damaged.add(A)
    found = promotion.judge(B)
    assert found.alias == "production" and not found.is_promoted(False)
    report = write_report("", found, by_person=False)
    assert f"A person should decide whether run `{B.run_id}` is promoted to **production**, because" in report
    assert "is damaged" in report and f"`make promote run={B.run_id}` promotes it" in report
    promotion.promote(found, "")
    assert registry.aliases == {"production": A}
    promotion.promote(found, "", by_person=True)
    assert registry.aliases == {"production": B}


def test_a_model_of_another_split_may_know_the_rows_and_is_not_compared(
    promotion: Promotion, registry: FakeRegistry, cache: FakeCache, toy: Toy
) -> None:
    registry.tag_run(A.run_id, SPLIT_TAG, "seed 7, by customer_id")
    registry.aliases["production"] = A
    (reservation,) = promotion.judge(B).reservations
    assert "another split" in reservation and "seed 7" in reservation
    with pytest.raises(BundleError, match="another split"):
        promotion.judge(A)
    keyless = Promotion(replace(toy.use_case, key=""), toy.table, 0, registry, cache)
    with pytest.raises(BundleError, match="an older one"):
        keyless.judge(B)  # before runs were tagged, the key of such a row was another


def test_a_champion_of_an_earlier_time_is_compared_and_one_of_a_later_time_may_know_the_rows(
    registry: FakeRegistry, cache: FakeCache, toy: Toy
) -> None:
    case = replace(toy.use_case, split_by="day")
    table = replace(toy.table, times=np.arange(len(toy.table.keys), dtype=np.float64))
    now = describe_split(table, case, 0)
    first = int(now.rpartition(" ")[2])
    assert now == f"by time (day), tested from {first}"
    promotion = Promotion(case, table, 0, registry, cache)
    registry.tag_run(A.run_id, SPLIT_TAG, f"by time (day), tested from {first - 9}")
    registry.tag_run(B.run_id, SPLIT_TAG, now)
    registry.aliases["production"] = A
    found = promotion.judge(B)
    assert found.reservations == () and found.challenger.figures and found.holders["production"] is not None
    assert not found.holders["production"].problem
    registry.tag_run(A.run_id, SPLIT_TAG, f"by time (day), tested from {first + 9}")
    holder = promotion.judge(B).holders["production"]
    assert holder is not None and f"(by time (day), tested from {first + 9}, now {now})" in holder.problem
    untagged = Promotion(case, table, 0, FakeRegistry(), cache)
    with pytest.raises(BundleError, match="an older one"):
        untagged.judge(B)


def from_senders(toy: Toy, registry: FakeRegistry, cache: FakeCache, *senders: str) -> Promotion:
    """Return a promotion where the challenger B is better than A only in rows that the first sender sent."""
    table = replace(toy.table, senders=[senders[i % len(senders)] for i in range(len(toy.table.keys))])
    guess(cache, table, A, 0.8)
    guess(cache, table, B, 0.78)
    for record, truth, sender in zip(table.records, table.truth.tolist(), table.senders, strict=True):
        if sender == senders[0]:
            cache.errors[B][id(record)] = 0.99 if truth else 0.01
    registry.aliases["production"] = A
    return Promotion(toy.use_case, table, 0, registry, cache)


@pytest.mark.parametrize(
    ("senders", "reason"),
    [
        (("mallory", ""), "all outcomes come from one sender (mallory)"),
        (("mallory", "ada", ""), "it rests on the outcomes of one sender (mallory): without them it does not win"),
    ],
)
def test_the_rule_alone_promotes_nothing_that_rests_on_one_sender(
    toy: Toy, registry: FakeRegistry, cache: FakeCache, senders: tuple[str, ...], reason: str
) -> None:
    promotion = from_senders(toy, registry, cache, *senders)
    found = promotion.judge(B)
    assert found.alias == "production" and found.reservations == (reason,)
    promotion.promote(found, "")
    assert registry.aliases == {"production": A}
    promotion.promote(found, "", by_person=True)
    assert registry.aliases == {"production": B}


def test_outcomes_of_several_senders_that_agree_promote(toy: Toy, registry: FakeRegistry, cache: FakeCache) -> None:
    promotion = from_senders(toy, registry, cache, "ada", "bob", "eve")
    guess(cache, toy.table, B, 0.95)
    assert promotion.judge(B).is_promoted(False)


def test_a_hold_and_a_run_that_was_rolled_back_stop_a_person_as_well(
    promotion: Promotion, registry: FakeRegistry, cache: FakeCache, toy: Toy
) -> None:
    guess(cache, toy.table, A, 0.7)
    guess(cache, toy.table, B, 0.9)
    registry.aliases["production"] = A
    history = History(registry, "churn", lambda: datetime(2026, 11, 21, 12, len(registry.notes), tzinfo=UTC))
    for version, back in ((A, False), (B, False), (A, True)):
        history.note(version, "ada", "", back)
    left = promotion.judge(B)
    assert not left.is_promoted(True) and "it was rolled back" in write_report("", left, by_person=True)
    guess(cache, toy.table, C, 0.9)
    free = promotion.judge(C)
    assert free.is_promoted(False)
    registry.held = Hold("ada", "too many refusals", datetime(2026, 11, 21, tzinfo=UTC), B.run_id)
    held = promotion.judge(C)
    assert not held.is_promoted(True) and "ada went back from run" in held.refusals[0]
    with pytest.raises(AliasMoved, match="a person stepped in meanwhile"):
        promotion.promote(free, "", by_person=True)  # judged before the hold was set
    assert registry.aliases == {"production": A}


def test_an_alias_that_moved_since_the_comparison_is_left_alone(
    promotion: Promotion, registry: FakeRegistry, cache: FakeCache, toy: Toy
) -> None:
    guess(cache, toy.table, A, 0.7)
    guess(cache, toy.table, B, 0.9)
    registry.aliases["production"] = A
    found = promotion.judge(B)
    registry.aliases["production"] = C
    with pytest.raises(AliasMoved, match="was moved meanwhile"):
        promotion.promote(found, "")
    assert registry.aliases == {"production": C}


def test_where_one_of_two_aliases_moved_the_other_one_is_left_alone_as_well(
    promotion: Promotion, registry: FakeRegistry
) -> None:
    """The lower alias is moved first, so it must not be too late to notice that the upper one was moved."""
    found = verdict(judged(C, 0.8), production=judged(A, 0.7), staging=judged(B, 0.6))
    registry.aliases = {"production": C, "staging": B}
    with pytest.raises(AliasMoved, match=r"'production'.* was moved meanwhile"):
        promotion.promote(found, "")
    assert registry.aliases == {"production": C, "staging": B}


def test_the_report_says_first_what_to_do_and_then_every_figure_side_by_side() -> None:
    lines = write_report(
        "Will it rain?", verdict(judged(C, 0.8), production=judged(A, 0.7)), by_person=None
    ).splitlines()
    assert (
        lines[2] == f"Run `{C.run_id}` should be promoted to **production**: `make promote run={C.run_id}` promotes it."
    )
    assert lines[4].startswith("The rule compared: kappa 0.8 vs 0.7 for `production` on the same 100 held-out rows.")
    assert "It is better on 90.0% for `production`." in lines[4]
    assert lines[-1] == "| **kappa** | 0.8 | 0.7 |"
    done = write_report("", verdict(judged(C, 0.8), production=judged(A, 0.7)), by_person=True)
    assert f"Run `{C.run_id}` is promoted to **production**." in done
    assert "is not promoted" in write_report("", verdict(judged(C, 0.6), production=judged(A, 0.7)), by_person=True)


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
