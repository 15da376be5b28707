"""`make bench-drift`: the drift rule on the real churn table, with false alarms, missed shifts and cost of a window.

    python -m benchmarks.drift_rule credit_card_churn.csv.gz [--splits 3] [--quiet-windows 1000] [--shifted-windows 100]

The reference of each split is 5,000 rows of 70 % of the table. Every window is 500 rows of the other 30 %, drawn
without replacement: windows drawn with replacement would measure the difference between the two parts instead.
The prediction is XGBoost's out-of-fold score; a shifted row is scored by the model that never saw it.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from numpy.typing import NDArray

from monitoring.evidently_service.drift.dependence import design_effect
from monitoring.evidently_service.drift.evidently_figures import evidently_figures
from monitoring.evidently_service.drift.statistics import Column, Floats, Table, prepare
from monitoring.evidently_service.drift.verdict import DEFAULT_RULE, judge

ORDERED = {
    "education_level": ["Uneducated", "High School", "Graduate", "College", "Post-Graduate", "Doctorate"],
    "income_category": ["Less than $40K", "$40K - $60K", "$60K - $80K", "$80K - $120K", "$120K +"],
}
CATEGORIES = {
    "gender": ["M", "F"],
    "marital_status": ["Married", "Single", "Divorced"],
    "card_category": ["Blue", "Silver", "Gold", "Platinum"],
}
FEATURES = [
    "customer_age",
    "gender",
    "dependent_count",
    "education_level",
    "marital_status",
    "income_category",
    "card_category",
    "months_on_book",
    "total_relationship_count",
    "credit_limit",
    "total_revolving_bal",
]
COLUMNS: list[Column] = [(name, "category" if name in CATEGORIES else "number") for name in FEATURES]
COLUMNS.append(("prediction", "number"))
SHIFTED = ("credit_limit", "months_on_book", "card_category")
FOLDS = 5


def read_churn(path: Path) -> tuple[Floats, Floats]:
    """Return the eleven required features (n x 11, "Unknown" as NaN, categories as codes) and the outcome (1: left)."""
    frame = pd.read_csv(path).rename(columns=str.lower)
    for name, order in (ORDERED | CATEGORIES).items():
        codes = {value: float(code) for code, value in enumerate(order)}
        frame[name] = frame[name].map(codes)
    outcome = np.asarray(frame["attrition_flag"] == "Attrited Customer", dtype=np.float64)
    return frame[FEATURES].to_numpy(np.float64), outcome


class OutOfFoldModel:
    """Scores each row of the table with a model that was trained without that row."""

    def __init__(self, features: Floats, outcome: Floats) -> None:
        self.fold = np.arange(len(features)) % FOLDS
        self.models = [
            xgboost.XGBClassifier(n_estimators=100, max_depth=4, learning_rate=0.1, n_jobs=1, random_state=0).fit(
                features[self.fold != k], outcome[self.fold != k]
            )
            for k in range(FOLDS)
        ]

    def with_predictions(self, features: Floats, rows: NDArray[np.int64]) -> Floats:
        """Append the scores of `features`, which are these rows of the table, shifted or not."""
        scores = np.empty(len(rows))
        for k, model in enumerate(self.models):
            mine = self.fold[rows] == k
            scores[mine] = model.predict_proba(features[mine])[:, 1]
        return np.column_stack([features, scores])


def shift(features: Floats, generator: np.random.Generator) -> Floats:
    """Return rows with three shifts: lower limits, older accounts, and silver instead of blue cards in a tenth."""
    shifted = features.copy()
    shifted[:, FEATURES.index("credit_limit")] *= 0.7
    shifted[:, FEATURES.index("months_on_book")] += 4
    card = shifted[:, FEATURES.index("card_category")]
    tenth = generator.choice(len(card), len(card) // 10, replace=False)
    card[tenth[card[tenth] == 0]] = 1
    return shifted


def run_split(
    features: Floats, model: OutOfFoldModel, quiet: int, shifted: int, generator: np.random.Generator
) -> tuple[int, int, Counter[str], Counter[str]]:
    """Return the quiet alarms, the shifted alarms, and the columns named in each, of one split of the table."""
    order = generator.permutation(len(features))
    kept_out, rest = np.split(order, [int(len(order) * 0.3)])
    rows = rest[: DEFAULT_RULE.reference_rows]
    reference = prepare(model.with_predictions(features[rows], rows), COLUMNS)
    everything = model.with_predictions(features, np.arange(len(features)))
    alarms = [0, 0]
    named: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for i in range(quiet + shifted):
        rows = generator.choice(kept_out, DEFAULT_RULE.window, replace=False)
        is_shifted = i >= quiet
        window = model.with_predictions(shift(features[rows], generator), rows) if is_shifted else everything[rows]
        verdict = judge(reference, prepare_window(window))
        alarms[is_shifted] += verdict.alarm
        named[is_shifted].update(verdict.drifted)
    return alarms[0], alarms[1], *named


def prepare_window(rows: Floats) -> Table:
    """Return the window as the monitor compares it: each column with its design effect."""
    table = prepare(rows, COLUMNS)
    samples = {
        name: replace(sample, design_effect=design_effect(rows[:, place], sample))
        for place, (name, sample) in enumerate(table.columns.items())
    }
    return Table(samples, table.rows)


def milliseconds(evaluate: Callable[[], object], repeats: int) -> float:
    """Median time of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        evaluate()
        times.append(time.perf_counter() - start)
    return float(np.median(times) * 1e3)


def print_cost(rows: Floats, window_rows: int, reference_rows: int) -> bool:
    """Time a window evaluated live (prepared, judged, Evidently's figures) beside an Evidently report of it."""
    window, reference_part = rows[:window_rows], rows[window_rows : window_rows + reference_rows]
    reference = prepare(reference_part, COLUMNS)
    names = [name for name, _ in COLUMNS]
    definition = DataDefinition(
        numerical_columns=[name for name, kind in COLUMNS if kind == "number"],
        categorical_columns=[name for name, kind in COLUMNS if kind == "category"],
    )
    frames = [pd.DataFrame(side, columns=names) for side in (window, reference_part)]

    def verdict_alone() -> object:
        return judge(reference, prepare_window(window))

    def live() -> object:
        prepared = prepare_window(window)
        return judge(reference, prepared), evidently_figures(reference, prepared)

    def report() -> object:
        return Report([DataDriftPreset()]).run(*(Dataset.from_pandas(frame, definition) for frame in frames)).dict()

    alone, both, theirs = milliseconds(verdict_alone, 50), milliseconds(live, 20), milliseconds(report, 5)
    print(f"{window_rows:>6} {reference_rows:>9} {alone:>10.2f} {both:>12.2f} {theirs:>12.1f} {both / theirs:>10.4f}")
    return both <= theirs / 20


def print_alarms(features: Floats, model: OutOfFoldModel, splits: int, quiet: int, shifted: int) -> bool:
    """Print one line per split; return whether the rule keeps its promises on every split."""
    header = " ".join(f"{name:>15}" for name in SHIFTED)
    print(f"{'split':>5} {'quiet alarms':>14} {'share':>7} {'shifted alarms':>15} {header}  named in quiet windows")
    held = True
    for split in range(splits):
        generator = np.random.default_rng(split)
        quiet_alarms, shifted_alarms, quiet_named, named = run_split(features, model, quiet, shifted, generator)
        counts = " ".join(f"{named[name]:>15}" for name in SHIFTED)
        print(
            f"{split:>5} {f'{quiet_alarms}/{quiet}':>14} {quiet_alarms / max(quiet, 1):>7.2%} "
            f"{f'{shifted_alarms}/{shifted}':>15} {counts}  {dict(quiet_named) or '-'}"
        )
        named_enough = min(named[name] for name in SHIFTED) >= 0.98 * shifted
        held &= quiet_alarms < 0.005 * quiet and shifted_alarms == shifted and named_enough
    return held


def main() -> int:
    """Print both tables; exit 0 when every promise held."""
    parser = argparse.ArgumentParser(description="Prove the drift rule on the churn table.")
    parser.add_argument("table", type=Path, help="credit_card_churn.csv, gzipped or not")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--quiet-windows", type=int, default=1000)
    parser.add_argument("--shifted-windows", type=int, default=100)
    arguments = parser.parse_args()
    features, outcome = read_churn(arguments.table)
    model = OutOfFoldModel(features, outcome)
    held = print_alarms(features, model, arguments.splits, arguments.quiet_windows, arguments.shifted_windows)
    print(
        f"\n{'window':>6} {'reference':>9} {'verdict ms':>10} {'+ figures ms':>12} {'Evidently ms':>12} {'share':>10}"
    )
    everything = model.with_predictions(features, np.arange(len(features)))
    shuffled = np.random.default_rng(0).permutation(everything)
    costs = [print_cost(shuffled, window, reference) for window, reference in ((200, 1000), (200, 5000), (500, 5000))]
    print("\nheld" if held and all(costs) else "\nNOT held")
    return 0 if held and all(costs) else 1


if __name__ == "__main__":
    sys.exit(main())
