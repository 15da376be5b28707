"""`make bench-defaults`: the default search on generated pages, beside three libraries at their defaults.

Each table gets the page that `make use-case` writes. For each seed, the product trains as it does for users; the
peers (scikit-learn's HistGradientBoosting, LightGBM and CatBoost) learn from the same columns of the training and
validation rows together, with categories as their own categories. All are judged once on the test rows.

Figures are log loss (classes) or RMSE (amounts). Scorehouse answers one of ordered classes: there, the figure is the
RMSE of the class, and the peers are regressions that are rounded to the nearest class.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, median

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import use_cases
from benchmarks.peers.boosters import PACKAGES, PEERS
from benchmarks.public_tables import EIGHT, TABLES
from model_orchestration.inspection.inspection import inspect_table
from model_orchestration.inspection.page import write_page
from model_orchestration.tables.training_table import TEST, TrainingTable, prepare, read_table
from model_orchestration.training.training import Training
from scorehouse.errors import ScorehouseError
from scorehouse.pages.loading import load_use_case
from scorehouse.scoring.derivation import derivation
from scorehouse.scoring.figures import Vector, root_mean_squared_error
from scorehouse.scoring.quality import quality
from scorehouse.tables.frames import read_frame
from scorehouse.usecase import Task, UseCase

FIGURE: Mapping[Task, str] = {"binary": "log_loss", "multiclass": "log_loss", "amount": "rmse", "ordinal": "rmse"}
OURS = "Scorehouse"
CLOSE = 0.02  # of the peers' median: a table on which we are farther behind is a failure
BEST = 0.7  # share of the tables on which we must be at least as good as the best peer


@dataclass(frozen=True, slots=True)
class Source:
    """A table: its file, and the column to predict."""

    name: str
    path: Path
    target: str


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one table: those of each seed by who answered, and the seconds of our training."""

    name: str
    task: Task
    rows: int
    figures: Mapping[str, list[float]]
    seconds: list[float]

    def mean(self, who: str) -> float:
        """Return the mean over the seeds."""
        return fmean(self.figures[who])

    @property
    def to_best(self) -> float:
        """Our figure in relation to that of the best peer: below 0 is better."""
        return self.mean(OURS) / max(min(self.mean(p) for p in PEERS), 1e-12) - 1

    @property
    def to_median(self) -> float:
        """Our figure in relation to the median of the peers: below 0 is better."""
        return self.mean(OURS) / max(median(self.mean(p) for p in PEERS), 1e-12) - 1


_OTHERS = {  # of the tables of our own systems, by name: the target
    "credit_card_churn": "Attrition_Flag", "motor_insurance": "Premium", "claims": "claim_status", "flights": "Price",
    "winequality_white": "quality",
}  # fmt: skip


def main() -> None:
    """Train on each table and seed, print the table of figures, and end with status 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of tables, beside those of packages")
    parser.add_argument("--site", type=Path, default=Path(".tables"), help="the environment with packages of tables")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--only", default="", help="names of tables, with commas between them")
    parser.add_argument("--most-rows", type=int, default=0, help="leave out tables of more rows")
    parser.add_argument("--out", type=Path, default=Path("var/bench-defaults.json"), help="where the figures are kept")
    asked = parser.parse_args()
    console = Console(width=130)
    with tempfile.TemporaryDirectory() as work:
        use_cases.__path__.append(work)
        only = set(filter(None, asked.only.split(",")))
        sources = [s for s in _sources(asked.folders, asked.site, Path(work)) if not only or s.name in only]
        known = Known(asked.out)
        results = []
        for source in sources:
            try:
                case, table = _page(source, Path(work))
            except ScorehouseError as error:
                console.print(f"{source.name}: left out: {error}", highlight=False, markup=False)
                continue
            if asked.most_rows and len(table.truth) > asked.most_rows:
                continue
            results.append(_measure(source.name, case, table, asked.seeds, asked.trials, known))
            console.print(_line(results[-1]), highlight=False)
    console.print(_report(results, asked.seeds, asked.trials))
    sys.exit("\n".join(_missed(results)) or 0)


class Known:
    """The peers' figures of earlier runs, because only ours change between them."""

    def __init__(self, path: Path) -> None:
        """Read what is at `path`, if anything is."""
        self._path = path
        self.figures: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, key: str, compute: Callable[[], float]) -> float:
        """Return the figure of `key`; compute and keep it if it is new."""
        if key not in self.figures:
            self.keep(key, compute())
        return self.figures[key]

    def keep(self, key: str, figure: float) -> None:
        """Keep a figure on disk."""
        self.figures[key] = figure
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self.figures, indent=1))


def _sources(folders: list[Path], site: Path, work: Path) -> Iterator[Source]:
    """Yield the tables in `folders` and then those of the packages in the environment `site`."""
    targets = {**EIGHT, **_OTHERS}
    for folder in folders:
        for path in sorted(p for p in folder.iterdir() if p.name.partition(".")[0] in targets):
            name = path.name.partition(".")[0]
            yield Source(name, path, targets[name])
    (packages,) = site.glob("lib/python*/site-packages")
    for table in TABLES:
        yield Source(table.name, table.copy_to(work, packages), table.target)


def _page(source: Source, work: Path) -> tuple[UseCase, TrainingTable]:
    """Return the use case that `make use-case` writes for the table, and the table as it is trained on."""
    name = f"bench_{source.name}"
    frame = read_frame(source.path.read_bytes(), str(source.path))
    write_page(inspect_table(frame, str(source.path), source.target), name, str(source.path), work)
    case = load_use_case(name)
    return case, prepare(read_table(str(source.path), case), case)


def _measure(name: str, case: UseCase, table: TrainingTable, seeds: int, trials: int, known: Known) -> Result:
    figures: dict[str, list[float]] = {who: [] for who in (OURS, *PEERS)}
    seconds = []
    columns = _columns(case, table)
    for seed in range(seeds):
        began = time.perf_counter()
        training = Training(case, table, seed)
        trained = training.retrain(training.best(list(training.search(trials)), 1)[0])
        seconds.append(time.perf_counter() - began)
        answers = next(iter(trained.test_predictions.values()))
        figures[OURS].append(_judge(case.task, trained.test_truth, answers))
        for peer, package in PACKAGES.items():
            key = f"{name} {len(columns)}x{columns.shape[1]} seed {seed} {package} {version(package)}"
            answer = partial(_peer, peer, case.task, columns, table.truth, training.split == TEST)
            figures[peer].append(known.get(key, answer))
        shown = {who: round(values[-1], 5) for who, values in figures.items()}
        print(name, seed, trained.family, dict(trained.model.parameters), shown, file=sys.stderr, flush=True)
    return Result(name, case.task, len(table.truth), figures, seconds)


def _peer(peer: str, task: Task, columns: pd.DataFrame, truth: Vector, test: NDArray[np.bool_]) -> float:
    answers = PEERS[peer](task, columns[~test], truth[~test], columns[test])
    return _judge(task, truth[test], answers)


def _columns(case: UseCase, table: TrainingTable) -> pd.DataFrame:
    """Return the model's columns, (rows, columns): numbers as float64, categories as pandas' own."""
    derive = derivation(case.features, case.derive)
    records = [derive(record) for record in table.records]
    made = {}
    for place, column in enumerate(case.columns):
        values = [record.get(column.name) for record in records]
        if column.kind == "category":
            made[f"c{place}"] = pd.Series(pd.Categorical([None if v is None else str(v) for v in values]))
        else:
            made[f"c{place}"] = pd.Series(np.array(values, dtype=np.float64))
    return pd.DataFrame(made)


def _judge(task: Task, truth: Vector, answers: Vector) -> float:
    if task in {"binary", "multiclass"}:
        return quality(task, truth, answers)["log_loss"]
    return root_mean_squared_error(truth, answers)


def _line(result: Result) -> str:
    return f"{result.name}: {result.to_best:+.1%} to the best, {result.to_median:+.1%} to the median"


def _report(results: list[Result], seeds: int, trials: int) -> Table:
    title = f"test figures, mean of {seeds} seeds, {trials} trials; lower is better"
    shown = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for name in ("table", "figure"):
        shown.add_column(name)
    for name in ("rows", OURS, *PEERS, "to the best", "to the median", "seconds"):
        shown.add_column(name, justify="right")
    for result in results:
        means = [f"{result.mean(who):,.4g}" for who in (OURS, *PEERS)]
        ratios = [f"{result.to_best:+.1%}", f"{result.to_median:+.1%}", f"{fmean(result.seconds):.0f}"]
        shown.add_row(result.name, FIGURE[result.task].replace("_", " "), f"{result.rows:,}", *means, *ratios)
    return shown


def _missed(results: list[Result]) -> Iterator[str]:
    """Yield each target that is missed."""
    best = sum(r.to_best <= 0 for r in results)
    if best < BEST * len(results):
        yield f"missed: at least as good as the best peer on {best} of {len(results)} tables, not on {BEST:.0%}"
    if behind := [r.name for r in results if r.to_median > CLOSE]:
        yield f"missed: more than {CLOSE:.0%} worse than the peers' median on {', '.join(behind)}"


if __name__ == "__main__":
    main()
