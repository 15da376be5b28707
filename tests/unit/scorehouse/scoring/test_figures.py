"""Every figure is declared once, keeps its values, and costs a scorer nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from scorehouse.scoring.figures import BY_NAME, FIGURES, Vector, figure_label
from scorehouse.scoring.quality import quality
from scorehouse.usecase import Task
from tests.toy import ROOT

# What the formulas written out in numpy gave before scikit-learn computed most of them.
VALUES: dict[Task, dict[str, float]] = {
    "binary": {
        "log_loss": 0.40057400377684194,
        "auc": 0.7688106332594913,
        "brier": 0.129982,
        "rmse": 0.3605301651734567,
        "accuracy": 0.8133333333333334,
        "kappa": 0.20522282145898374,
        "mean_predicted": 0.2076,
        "mean_true": 0.17666666666666667,
        "calibration_error": 0.04193333333333333,
    },
    "amount": {
        "mae": 1290.43792216098,
        "rmse": 2181.5851178782173,
        "bias": 277.5552167222218,
        "gamma_deviance": 0.24920866513941073,
        "predicted_over_true": 1.0873742094659569,
    },
    "ordinal": {
        "balanced_accuracy": 0.33638080265987247,
        "accuracy": 0.35333333333333333,
        "kappa": 0.7865331949559355,
        "mae": 0.8866666666666667,
    },
}
DOORS = ("server.web.__main__", "server.web.site.card", "server.stream.__main__", "server.aws_lambda.main")


def drawn() -> Iterator[tuple[Task, Vector, Vector]]:
    """The task, the truth and the predictions of which VALUES are the figures."""
    rng = np.random.default_rng(20261126)
    chance = rng.beta(1, 4, 300).round(2)  # with ties
    yield "binary", (rng.random(300) < chance).astype(float), chance
    truth = rng.gamma(1.5, 2000, 300)
    yield "amount", truth, truth * rng.lognormal(0, 0.5, 300)
    truth = rng.integers(3, 9, 300).astype(float)
    yield "ordinal", truth, np.clip(truth + rng.integers(-2, 3, 300), 3, 8)


def test_the_figures_keep_their_values() -> None:
    for task, truth, predicted in drawn():
        assert quality(task, truth, predicted) == pytest.approx(VALUES[task], rel=1e-9, abs=1e-12)


def test_a_name_means_the_same_for_every_task() -> None:
    for figure in (figure for figures in FIGURES.values() for figure in figures):
        assert (figure.label, figure.better) == (BY_NAME[figure.name].label, BY_NAME[figure.name].better)
        assert figure.meaning.endswith(".")


def test_a_figure_that_is_declared_no_more_is_shown_by_its_name() -> None:
    assert figure_label("mean_true") == "mean outcome"
    assert figure_label("mean_squared_log_error") == "mean squared log error"


def test_no_door_imports_scikit_learn() -> None:
    heavy = {"sklearn", "scipy", "pandas"}
    code = f"import sys, {', '.join(DOORS)}; sys.exit(' '.join({heavy} & set(sys.modules)) or 0)"
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr.strip()) == (0, "")
