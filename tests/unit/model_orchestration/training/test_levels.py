"""Levels that training learns: what a level says about the target, without seeing the row's own outcome."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import TargetEncoder

from model_orchestration.training.levels import LearntLevels, shrunken_means
from scorehouse.scoring.encoding import Encoder
from scorehouse.usecase import Feature, UseCase

ZIP = Feature(name="zip", kind="category", levels="learnt", help="Zip code")


def use_case(**changed: Any) -> UseCase:
    given: dict[str, Any] = {
        "name": "houses", "version": 1, "title": "", "about": "", "source": "", "features": (ZIP,), "target": "price",
        "task": "amount", "answer": "price", "key": "", "clean": lambda table: table,
    }  # fmt: skip
    return UseCase(**{**given, **changed})


def learnt(truth: np.ndarray, zips: list[Any], folds: np.ndarray, case: UseCase | None = None) -> LearntLevels:
    records = [{"zip": value} for value in zips]
    parts = [folds == k for k in range(folds.max() + 1)]
    return LearntLevels(case or use_case(), records, truth.astype(np.float64), np.ones(len(truth)), parts)


def test_the_means_are_those_of_scikit_learns_encoder_for_its_smoothing() -> None:
    rng = np.random.default_rng(0)
    level = rng.integers(0, 30, 600)
    truth = rng.normal(size=30)[level] + rng.normal(size=600)
    found = shrunken_means(level, 30, truth[:, None], np.ones(600))[:, 0]
    own = np.array([truth[level == i].mean() for i in range(30)])
    rows = np.bincount(level)
    smoothing = (rows * (own - found) / (found - truth.mean())).mean()  # of the formula (sum + m mean) / (rows + m)
    peer = TargetEncoder(smooth=smoothing, target_type="continuous").fit(level[:, None], truth)
    assert smoothing == pytest.approx(1, abs=0.5)  # the variance within levels over that between them
    assert found == pytest.approx(peer.encodings_[0], abs=1e-9)


def test_weights_count_as_rows() -> None:
    level, outcomes = np.array([0, 0, 1, 1, 1, 2]), np.array([[1.0], [2], [5], [6], [7], [9]])
    twice = np.repeat(np.arange(6), [2, 1, 1, 1, 1, 1])
    weighted = shrunken_means(level, 3, outcomes, np.array([2.0, 1, 1, 1, 1, 1]))
    assert weighted == pytest.approx(shrunken_means(level[twice], 3, outcomes[twice], np.ones(7)), rel=0.05)


def test_levels_that_say_nothing_all_get_the_mean() -> None:
    rng = np.random.default_rng(1)
    level, truth = rng.integers(0, 2_000, 4_000), (rng.random(4_000) < 0.3).astype(np.float64)
    found = shrunken_means(level, 2_000, truth[:, None], np.ones(4_000))
    assert found[~np.isnan(found)] == pytest.approx(truth.mean(), abs=1e-12)  # a tree would split at a difference


@pytest.mark.parametrize("truth", [np.zeros(4), np.arange(4.0)])
def test_levels_without_a_second_row_or_another_outcome_are_numbers_all_the_same(truth: np.ndarray) -> None:
    assert np.isfinite(shrunken_means(np.arange(4), 4, truth[:, None], np.ones(4))).all()
    assert np.isfinite(shrunken_means(np.zeros(4, dtype=np.intp), 1, truth[:, None], np.ones(4))).all()
    assert np.isnan(shrunken_means(np.zeros(0, dtype=np.intp), 2, np.zeros((0, 1)), np.zeros(0))).all()


def test_no_row_that_is_learnt_from_sees_its_own_outcome_and_no_other_row_is_seen() -> None:
    rng = np.random.default_rng(2)
    folds, zips = rng.integers(0, 5, 300), [f"{n}" for n in rng.integers(0, 20, 300)]
    truth, known = rng.normal(size=300), rng.random(300) < 0.8
    own = int(np.flatnonzero(known)[0])
    other = int(np.flatnonzero(~known)[0])

    def seen(changed: int | None = None) -> np.ndarray:
        outcomes = truth.copy()
        if changed is not None:
            outcomes[changed] += 100
        levels = learnt(outcomes, zips, folds)
        encoder = Encoder.of((ZIP,), levels.columns(known))
        return levels.seen_by(known, encoder.rows([{"zip": z} for z in zips]), encoder.columns)[:, 0]

    assert (seen(other) == seen()).all()
    assert seen(own)[own] == seen()[own]
    assert (seen(own) != seen()).any()


def test_missing_and_unseen_levels_are_missing_and_the_doors_codes_are_those_of_all_known_rows() -> None:
    truth = np.array([1.0, 2, 1, 2, 9, 9, 8, 5])
    zips = ["a", "a", "a", "a", "b", "b", "b", None]
    known = np.array([True] * 6 + [False] * 2)
    levels = learnt(truth, zips, np.array([0, 1] * 4))
    encoder = Encoder.of((ZIP,), levels.columns(known))
    assert encoder.names == ["zip"]
    rows = encoder.rows([{"zip": "a"}, {"zip": "c"}, {"zip": None}, {}])[:, 0]
    assert rows[0] == pytest.approx(1.5, abs=0.2)
    assert np.isnan(rows[1:]).all()
    assert Encoder.from_json(encoder.to_json()).columns == encoder.columns


def test_each_of_several_classes_has_a_column_of_the_field() -> None:
    case = use_case(task="multiclass", classes=("x", "y", "z"))
    truth = np.array([0, 0, 1, 1, 2, 2] * 10)
    zips = ["a", "a", "b", "b", "c", "c"] * 10
    levels = learnt(truth, zips, np.arange(60) % 5, case)
    encoder = Encoder.of((ZIP,), levels.columns(np.ones(60, dtype=np.bool_)))
    assert encoder.names == ["zip (x)", "zip (y)", "zip (z)"]
    assert encoder.rows([{"zip": "b"}])[0] == pytest.approx([0, 1, 0], abs=0.05)
    assert Encoder.from_json(encoder.to_json()).rows([{"zip": "b"}]).shape == (1, 3)
