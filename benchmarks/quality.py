"""`make quality`: trains as the product does on several splits, and compares the test figures with targets.

`make quality USE_CASE=insurance DATA=motor_insurance.csv`. The exit status is 1 when a mean over the splits misses its
target. Without DATA or a table of the page it measures the sample, which has no targets.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from model_orchestration.tables.training_table import TEST, TrainingTable, prepare, read_table
from model_orchestration.training.training import Training
from scorehouse.environment import read_settings
from scorehouse.errors import ScorehouseError
from scorehouse.pages.loading import load_use_case
from scorehouse.scoring.figures import figure_label
from scorehouse.scoring.quality import quality
from scorehouse.usecase import UseCase


@dataclass(frozen=True, slots=True)
class Target:
    """A test figure and the bounds of its mean over the splits."""

    figure: str
    low: float = -np.inf
    high: float = np.inf

    def met(self, value: float) -> bool:
        """Return whether `value` is within the bounds."""
        return self.low <= value <= self.high

    def worst(self, values: list[float]) -> float:
        """Return the value that misses the target most or comes nearest to it; the lowest of several such."""
        return min(values, key=lambda v: (min(v - self.low, self.high - v), v))

    def __str__(self) -> str:
        if np.isfinite(self.low) and np.isfinite(self.high):
            return f"{self.low:g} to {self.high:g}"
        return f">= {self.low:g}" if np.isfinite(self.low) else f"<= {self.high:g}" if np.isfinite(self.high) else ""


ALL, REQUIRED = "", "required_only_"  # churn's and wine's two kinds of record
TARGETS: dict[str, tuple[int, tuple[Target, ...]]] = {  # use case -> number of splits, targets
    "churn": (
        5,
        (
            Target(f"{ALL}auc", low=0.990),
            Target(f"{REQUIRED}auc", low=0.80),
            Target(f"{ALL}brier", high=0.022),
            Target(f"{REQUIRED}brier", high=0.115),
            Target(f"{ALL}rate_error", -0.02, 0.02),
            Target(f"{REQUIRED}rate_error", -0.02, 0.02),
        ),
    ),
    "insurance": (
        3,
        (Target("mae", high=68), Target("gamma_deviance", high=0.081), Target("predicted_over_true", 0.97, 1.03)),
    ),
    "claims": (3, (Target("auc", low=0.94), Target("kappa", low=0.78))),
    "flights": (3, (Target("rmse", high=2000),)),
    "wine": (3, (Target("kappa", low=0.50),)),
}
Figures = dict[str, float]
WIDTH = 110  # of the table, even when it is written to a file


def main() -> None:
    """Train, print the table, and end with status 1 when a target is missed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--splits", type=int, help="number of splits, by default the target's own")
    wanted = arguments.parse_args()
    settings = read_settings(os.environ)
    use_case = load_use_case(settings.use_case)
    splits, targets = TARGETS.get(use_case.name, (3, (Target(use_case.rank_by),)))
    source = use_case.table_at(settings.data)
    if not source:
        targets = tuple(Target(t.figure) for t in targets)
    table = prepare(read_table(source, use_case, settings.s3_address), use_case, source)
    measured = measure(use_case, table, wanted.splits or splits, settings.trials or use_case.trials)
    Console(width=WIDTH).print(report(use_case, table, targets, measured))
    missed = [t.figure for t in targets if not t.met(mean(t, measured, 0))]
    sys.exit(f"missed: {', '.join(missed)}" if missed else 0)


def measure(use_case: UseCase, table: TrainingTable, splits: int, trials: int) -> list[tuple[Figures, Figures]]:
    """Return for each split the model's test figures and those of a constant answer."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        work = bar.add_task(use_case.name, total=splits * (trials + 1))
        measured = []
        for seed in range(splits):
            measured.append(split(use_case, table, seed, trials, lambda: bar.advance(work)))
            ranked = measured[-1][0][use_case.rank_by]
            bar.console.print(f"split {seed}: {use_case.rank_by.replace('_', ' ')} {ranked:.4g}")
        return measured


def split(
    use_case: UseCase, table: TrainingTable, seed: int, trials: int, advance: Callable[[], None]
) -> tuple[Figures, Figures]:
    """Search and retrain on one split, as the flow does; only the best trial of the validation sees the test rows."""
    training = Training(use_case, table, seed)
    tried = []
    for trial in training.search(trials):
        tried.append(trial)
        advance()
    trained = training.retrain(training.best(tried, 1)[0])
    advance()
    own = {name.removeprefix("test_"): v for name, v in trained.quality.items() if name.startswith("test_")}
    same = constant(use_case, table.truth[training.split != TEST])
    base = quality(use_case.task, trained.test_truth, np.repeat(same, len(trained.test_truth), axis=0))
    base |= {f"{REQUIRED}{name}": value for name, value in base.items()}
    return with_rate_error(own), with_rate_error(base)


def constant(use_case: UseCase, known: np.ndarray) -> np.ndarray:
    """Return the best constant answer, as the predictions of one row: the rate or rates, the median, or the class."""
    if use_case.classes:
        return np.bincount(known.astype(int), minlength=len(use_case.classes))[None] / len(known)
    if use_case.task == "ordinal":
        classes, counts = np.unique(known, return_counts=True)
        return classes[[counts.argmax()]]
    return np.array([known.mean() if use_case.task == "binary" else np.median(known)])


def with_rate_error(figures: Figures) -> Figures:
    """Add the difference between the mean chance and the true rate, where the answers are chances."""
    kinds = [kind for kind in (ALL, REQUIRED) if f"{kind}mean_predicted" in figures]
    return figures | {f"{k}rate_error": figures[f"{k}mean_predicted"] - figures[f"{k}mean_true"] for k in kinds}


def report(
    use_case: UseCase, table: TrainingTable, targets: tuple[Target, ...], measured: list[tuple[Figures, Figures]]
) -> Table:
    """Return the figures as a table with one line per target."""
    about = f"{use_case.name}: {len(table.truth):,} rows, {len(measured)} splits, {table.source}"
    shown = Table(title=about, title_justify="left", box=SIMPLE_HEAD)
    for name in ("test figure", "mean", "worst split", "target", "", "without a model"):
        shown.add_column(name, justify="left" if name in {"test figure", ""} else "right")
    for t in targets:
        worst = t.worst([own.get(t.figure, np.nan) for own, _ in measured])
        own, farthest, without = (
            f"{v:,.2f}" if abs(v) >= 10 else f"{v:.4f}" for v in (mean(t, measured, 0), worst, mean(t, measured, 1))
        )
        verdict = "" if t == Target(t.figure) else "met" if t.met(mean(t, measured, 0)) else "MISSED"
        shown.add_row(figure_label(t.figure), own, farthest, str(t), verdict, without)
    return shown


def mean(target: Target, measured: list[tuple[Figures, Figures]], which: int) -> float:
    """Return the figure's mean over the splits: the model's (which 0), or that without a model (1)."""
    return float(np.mean([pair[which].get(target.figure, np.nan) for pair in measured]))


if __name__ == "__main__":
    try:
        main()
    except ScorehouseError as error:
        sys.exit(f"quality: {error}")
