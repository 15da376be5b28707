"""The search: what it proposes, two at a time, and that it learns from its results."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model_orchestration.training.search import Found, Trial, rank, search
from scorehouse.usecase import Choice, Estimator, Range

SPACE = {
    "rate": Range(0.01, 1.0, log=True),
    "depth": Range(2, 9, integer=True),
    "share": Range(0.5, 0.9),
    "kernel": Choice(("rbf", "linear")),
}
TREES = Estimator(family="xgboost", space=SPACE)
FOREST = Estimator(family="random_forest", space={"depth": Range(1, 3, integer=True)})


def loss_of(parameters: dict[str, Any]) -> float:
    return float(np.log10(parameters["rate"]) ** 2 + (parameters["depth"] - 5) ** 2 / 10)


def fit(estimator: Estimator, parameters: dict[str, Any]) -> Found:
    loss = loss_of(parameters)
    return parameters, {"loss": loss}, loss


def parameters_of(trial: Trial) -> dict[str, Any]:
    return trial.parameters


def test_every_trial_is_yielded_once_with_its_figures() -> None:
    trials = list(search((TREES,), fit, 15, seed=1))
    assert sorted(t.number for t in trials) == list(range(15))
    assert all(t.figures == {"loss": t.loss} and t.loss == loss_of(parameters_of(t)) for t in trials)


def test_proposals_stay_inside_their_space_and_have_the_types_that_were_declared() -> None:
    for trial in search((TREES,), fit, 40, seed=2):
        found = parameters_of(trial)
        assert set(found) == set(SPACE)
        assert 0.01 <= found["rate"] <= 1.0 and 0.5 <= found["share"] <= 0.9
        assert type(found["depth"]) is int and 2 <= found["depth"] <= 9
        assert found["kernel"] in ("rbf", "linear")


def test_a_log_range_is_searched_evenly_by_magnitude() -> None:
    rates = [parameters_of(t)["rate"] for t in search((TREES,), fit, 20, seed=3)]
    assert sum(r < 0.1 for r in rates) >= 4


def test_all_families_are_tried_each_with_its_own_space() -> None:
    def either(estimator: Estimator, parameters: dict[str, Any]) -> Found:
        assert set(parameters) == set(estimator.space)
        return {}, {}, 0.0

    families = {t.estimator.family for t in search((TREES, FOREST), either, 20, seed=0)}
    assert families == {"xgboost", "random_forest"}


def test_two_trials_run_at_a_time_and_never_three() -> None:
    both, lock = threading.Barrier(2), threading.Lock()
    running, most = 0, 0

    def meet(estimator: Estimator, parameters: dict[str, Any]) -> Found:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(timeout=20)  # breaks unless another trial runs beside this one
        with lock:
            running -= 1
        return {}, {}, 0.0

    assert len(list(search((TREES,), meet, 8, seed=0))) == 8
    assert most == 2


def test_a_trial_that_fails_ends_the_search_with_its_reason() -> None:
    def fail(estimator: Estimator, parameters: dict[str, Any]) -> Found:
        raise ValueError("no such objective")

    with pytest.raises(ValueError, match="no such objective"):
        list(search((TREES,), fail, 4, seed=0))


def test_the_search_learns_from_its_trials() -> None:
    losses = [t.loss for t in sorted(search((TREES,), fit, 60, seed=4), key=lambda t: t.number)]
    assert np.median(losses[30:]) < 0.7 * np.median(losses[:20])


def test_the_same_seed_proposes_the_same_first_trials_and_another_seed_others() -> None:
    def proposals(seed: int) -> list[dict[str, Any]]:
        trials = sorted(search((TREES,), fit, 6, seed), key=lambda t: t.number)
        return [parameters_of(t) for t in trials]

    assert proposals(7) == proposals(7)
    assert proposals(7) != proposals(8)


def test_the_same_seed_proposes_the_same_trials_whichever_of_two_ends_first() -> None:
    def proposals(slow: int) -> list[dict[str, Any]]:
        """Every second trial takes longer: those with an even number, or those with an odd one."""
        begun = itertools.count()

        def dawdle(estimator: Estimator, parameters: dict[str, Any]) -> Found:
            time.sleep(0.02 if next(begun) % 2 == slow else 0)
            return fit(estimator, parameters)

        return [parameters_of(t) for t in search((TREES,), dawdle, 40, seed=7)]

    assert proposals(0) == proposals(1)


def test_a_trial_is_averaged_with_the_next_best_ones_of_its_estimator() -> None:
    mean_of_three = replace(TREES, average=3)
    trials = [Trial(n, e, {}, {}, loss) for n, (e, loss) in enumerate(
        [(mean_of_three, 0.4), (FOREST, 0.1), (mean_of_three, 0.2), (mean_of_three, 0.3), (mean_of_three, 0.5)]
        + [(FOREST, 0.9)] * 10
    )]  # fmt: skip
    found = [(t.number, [other.number for other in t.others]) for t in rank(trials)][:5]
    assert found == [(1, []), (2, [3, 0]), (3, [0, 4]), (0, [4]), (4, [])]


@pytest.mark.parametrize(("tried", "averaged"), [(1, 1), (5, 1), (10, 2), (15, 3), (50, 3)])
def test_at_most_a_fifth_of_the_trials_is_averaged(tried: int, averaged: int) -> None:
    trials = [Trial(n, replace(TREES, average=3), {}, {}, n / 100) for n in range(tried)]
    assert len(rank(trials)[0].others) == averaged - 1
