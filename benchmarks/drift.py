"""`python -m benchmarks.drift FOLDER`: the drift rule under dependent traffic: a simulated month without drift.

FOLDER holds the public tables (`make get-data`). Each pattern of traffic runs for 30 days at 1, 10 and 100 records a
second, without drift in its population: every notification is false. The product's own `Watch` chooses the window,
judges it and confirms what drifts, with a span of 24 hours. Of each hour only the records that can enter a window are
made: the smallest keys of all of the hour's subjects, which are what `Sampling` itself keeps of an hour
(test_what_is_held_is_bounded_and_its_window_is_that_of_everything). The earlier rule (the newest 500 records, whatever
they are) judges a part of the same traffic.

Then three real shifts of the churn table: how often each is named, and after how long.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import xgboost

from benchmarks.drift_rule import FOLDS
from benchmarks.drift_traffic import DAY, HOUR, PATTERNS, Ints, Pattern, Population
from model_orchestration.tables.training_table import prepare as prepare_table
from model_orchestration.tables.training_table import read_table
from monitoring.evidently_service.drift.observed import Keys, Observed
from monitoring.evidently_service.drift.reference import PREDICTION, RunReference
from monitoring.evidently_service.drift.sampling import Sampling
from monitoring.evidently_service.drift.statistics import Column, Floats, prepare
from monitoring.evidently_service.drift.verdict import DEFAULT_RULE, DriftRule, judge
from monitoring.evidently_service.windows.watch import Watch
from scorehouse.bundles.reference import Reference
from scorehouse.pages.loading import load_use_case
from scorehouse.scoring.derivation import derivation
from scorehouse.scoring.encoding import Encoder

TABLES = {
    "churn": "credit_card_churn.csv.gz",
    "flights": "flights.csv.gz",
    "wine": "winequality_white.csv.gz",
}
DAILY_RULE = replace(DEFAULT_RULE, span=DAY)
WARM_UP = 30  # hours before a shift


@dataclass(frozen=True, eq=False)
class TableRows:
    """A table as its model sees it, with out-of-fold predictions as the last column."""

    rows: Floats
    columns: list[Column]
    models: list[Any]

    @classmethod
    def read(cls, name: str, path: Path) -> TableRows:
        """Read, clean and encode a public table; train a model for each fold."""
        use_case = load_use_case(name)
        table = prepare_table(read_table(str(path), use_case), use_case)
        encoder = Encoder.of(use_case.columns)
        derive = derivation(use_case.features, use_case.derive)
        features = encoder.rows([derive(r) for r in table.records]).astype(np.float64)
        columns: list[Column] = [(c.name, "category" if c.is_category else "number") for c in encoder.columns]
        kind = xgboost.XGBClassifier if use_case.task == "binary" else xgboost.XGBRegressor
        fold = np.arange(len(features)) % FOLDS
        models = [
            kind(n_estimators=100, max_depth=4, learning_rate=0.1, n_jobs=1, random_state=0).fit(
                features[fold != k], table.truth[fold != k]
            )
            for k in range(FOLDS)
        ]
        made = cls(features, [*columns, (PREDICTION, "number")], models)
        return replace(made, rows=made.scored(features))

    def scored(self, features: Floats) -> Floats:
        """Append to each row of the table, changed or not, the prediction of the model that never saw it."""
        fold = np.arange(len(features)) % FOLDS
        scores = np.empty(len(features))
        for k, model in enumerate(self.models):
            predict = getattr(model, "predict_proba", None)
            mine = features[fold == k]
            scores[fold == k] = predict(mine)[:, 1] if predict else model.predict(mine)
        return np.column_stack([features, scores])


class SimulatedWatch(Watch):
    """The product's watch over rows that are encoded already. It computes the verdict, without Evidently's figures."""

    def __init__(self, reference: Floats, columns: list[Column], rule: DriftRule):
        """Take n reference rows, (n, columns), with the predictions last."""
        self.rule = rule
        features: Any = SimpleNamespace(
            columns=columns[:-1], optional=np.zeros(len(columns) - 1, dtype=np.bool_), classes=[]
        )
        nothing = np.empty(0)
        self._reference = RunReference(
            Reference(reference[:, :-1].astype(np.float32), reference[:, -1], nothing, nothing), features
        )
        self.sampling = Sampling(observed(reference[:0], nothing, nothing.astype(np.uint64)), rule)
        self.window = self.sampling.window()
        self.unseen = 0
        self.evaluation = None
        self.drifting = {}

    def take_rows(self, new: Observed, subjects: int) -> None:
        """Add records of so many subjects; `new` are the candidates."""
        self.unseen += subjects
        self.sampling.take(new)
        self.window = self.sampling.window()

    def _evaluate_window(self) -> Any:
        verdict = judge(*self._reference.tables(self.window), self.rule, whole=self.sampling.whole)
        drifting = verdict.drifted if verdict.alarm else ()
        return SimpleNamespace(verdict=verdict, drifting=drifting, newest=float(self.window.times.max()))


def observed(rows: Floats, times: Floats, keys: Keys) -> Observed:
    """Return rows with predictions as the monitor holds them."""
    features = rows[:, :-1].astype(np.float32)
    numbers = np.zeros(len(rows), dtype=np.int64)
    return Observed(features, np.ones(features.shape, dtype=np.bool_), rows[:, -1], times, numbers, keys)


def smallest_keys(count: int, of: int, generator: np.random.Generator) -> Keys:
    """Return the `count` smallest of `of` random keys, in random order (order statistics of uniform numbers)."""
    steps = np.cumsum(generator.exponential(size=count))
    total = steps[-1] + generator.gamma(of + 1 - count) if of >= count else np.inf
    return generator.permutation((steps / total * 2.0**64).astype(np.uint64))


@dataclass(eq=False)
class Stream:
    """One pattern's traffic at a rate (records a second), hour by hour."""

    pattern: Pattern
    population: Population
    rate: float
    seed: int

    def hours(self, count: int, most: int) -> Iterator[tuple[int, Ints, Ints, Observed]]:
        """Yield hour, number of subjects, rows drawn and at most `most` candidates of each hour."""
        generator = np.random.default_rng(self.seed)
        first = 0
        for hour in range(count):
            records = self.rate * HOUR * self.pattern.volume(hour)
            subjects = max(int(records / self.pattern.records_per_subject), 1)
            drawn = min(subjects, most)
            places = first + np.sort(generator.choice(subjects, drawn, replace=False))
            times = HOUR * (hour + (places - first + 0.5) / subjects)
            rows, origin = self.population.draw(self.pattern, places, np.full(drawn, hour), self.seed)
            yield hour, np.int64(subjects), origin, observed(rows, times, smallest_keys(drawn, subjects, generator))  # type: ignore[misc]
            first += subjects

    def records(self, hour: int, count: int) -> Floats:
        """Return `count` records in a row, with repeats, of this hour."""
        positions = int(self.rate * HOUR * hour) + np.arange(count)
        subjects = self.pattern.subjects_at(positions)
        return self.population.draw(self.pattern, subjects, np.full(count, hour), self.seed)[0]


def count_notifications(watch: SimulatedWatch, stream: Stream, hours: int) -> tuple[int, int]:
    """Return the notifications (changes from nothing confirmed to something) and the evaluations."""
    notifications = evaluations = 0
    for _, subjects, _, candidates in stream.hours(hours, watch.rule.most):
        watch.take_rows(candidates, int(subjects))
        if watch.due:
            before = bool(watch.confirmed)
            watch.evaluate()
            evaluations += 1
            notifications += bool(watch.confirmed) and not before
    return notifications, evaluations


def count_old(reference: Floats, columns: list[Column], stream: Stream, records: int) -> tuple[int, int]:
    """Judge windows of the newest 500 records, as they come; return notifications and records, in 24 parts of a day."""
    prepared = prepare(reference, columns)
    rule = DEFAULT_RULE
    notifications = judged = 0
    streak: dict[str, int] = {}
    for part in range(24):
        rows = stream.records(24 + part, max(records // 24, rule.window))
        for end in range(rule.window, len(rows) + 1, rule.step):
            verdict = judge(prepared, prepare(rows[end - rule.window : end], columns), rule)
            before = max(streak.values(), default=0) >= rule.confirmations
            streak = {name: streak.get(name, 0) + 1 for name in verdict.drifted}
            notifications += max(streak.values(), default=0) >= rule.confirmations and not before
        judged += len(rows)
    return notifications, judged


def print_months(tables: dict[str, TableRows], arguments: argparse.Namespace) -> bool:
    """Print each pattern's false notifications; return whether no month had more than one."""
    worst = 0
    print(f"{'table':<8} {'pattern':<28} {'records/s':>9} {'notifications in each month':<30} {'the earlier rule':>24}")
    for name, table in tables.items():
        for pattern in (p for p in PATTERNS if not arguments.patterns or p.name in arguments.patterns):
            for rate in arguments.rates:
                counts = []
                for seed in range(arguments.months):
                    reference, population = split(table, seed)
                    watch = SimulatedWatch(reference, table.columns, DAILY_RULE)
                    found, _ = count_notifications(watch, Stream(pattern, population, rate, 10 * seed), arguments.hours)
                    counts.append(found)
                worst = max([worst, *counts])
                old = ""
                if arguments.old_records:
                    reference, population = split(table, 0)
                    stream = Stream(pattern, population, rate, 0)
                    found, judged = count_old(reference, table.columns, stream, arguments.old_records)
                    old = f"{found:,} in {judged:,} records"
                said = " ".join(map(str, counts))
                print(f"{name:<8} {pattern.name:<28} {rate:>9g} {said:<30} {old:>24}", flush=True)
    return worst <= 1


def shifts(table: TableRows) -> dict[str, Floats]:
    """Return the churn table with each of three shifts: lower limits, older accounts, silver cards for a tenth."""
    place = {name: i for i, (name, _) in enumerate(table.columns)}
    card = table.rows[:, place["card_category"]]
    blue, silver = (code for code, _ in Counter(card[np.isfinite(card)]).most_common(2))
    tenth = np.random.default_rng(0).random(len(card)) < 0.1
    changed = {
        "credit_limit": table.rows[:, place["credit_limit"]] * 0.7,
        "months_on_book": table.rows[:, place["months_on_book"]] + 4,
        "card_category": np.where(tenth & (card == blue), silver, card),
    }
    made = {}
    for name, values in changed.items():
        features = table.rows[:, :-1].copy()
        features[:, place[name]] = values
        made[name] = table.scored(features)
    return made


def records_until_named(table: TableRows, shifted: Floats, name: str, seed: int) -> tuple[int, int]:
    """Return after how many records of independent traffic a shift is confirmed, by the rule and the earlier one."""
    reference, _ = split(table, seed)
    generator = np.random.default_rng(1000 + seed)
    watch, prepared = SimulatedWatch(reference, table.columns, DEFAULT_RULE), prepare(reference, table.columns)
    raw, streak, found = table.rows[:0], 0, [0, 0]
    for count in range(-1000, 5000, DEFAULT_RULE.step):
        source = table.rows if count < 0 else shifted
        rows = source[generator.integers(len(source), size=DEFAULT_RULE.step)]
        keys = generator.integers(2**63, size=len(rows), dtype=np.uint64)
        watch.take_rows(observed(rows, np.full(len(rows), float(count)), keys), len(rows))
        watch.evaluate()
        raw = np.vstack([raw, rows])[-DEFAULT_RULE.window :]
        verdict = judge(prepared, prepare(raw, table.columns))
        streak = streak + 1 if verdict.alarm and name in verdict.drifted else 0
        for side, confirmed in enumerate((name in watch.confirmed, streak >= DEFAULT_RULE.confirmations)):
            if confirmed and count >= 0 and not found[side]:
                found[side] = count + DEFAULT_RULE.step
        if all(found):
            break
    return found[0], found[1]


def hours_until_named(table: TableRows, shifted: Floats, name: str, rate: float, seed: int) -> int:
    """Return after how many hours a shift is confirmed, with windows that span a day; 0 if not within four days."""
    reference, population = split(table, seed)
    later = replace(population, rows=shifted[population.order])
    watch = SimulatedWatch(reference, table.columns, DAILY_RULE)
    usual, changed = (
        Stream(PATTERNS[0], p, rate, 7 * seed).hours(WARM_UP + 96, watch.rule.most) for p in (population, later)
    )
    for (hour, subjects, _, before), (*_, after) in zip(usual, changed, strict=True):
        watch.take_rows(before if hour < WARM_UP else after, int(subjects))
        if watch.due:
            watch.evaluate()
        if hour >= WARM_UP and name in watch.confirmed:
            return hour + 1 - WARM_UP
    return 0


def print_power(table: TableRows, rates: list[float], repeats: int) -> None:
    """Print how often each shift is confirmed, and after how long in the median (and at most)."""

    def words(found: list[int], unit: str) -> str:
        named = [f for f in found if f]
        return f"{len(named)}/{len(found)}, {np.median(named):g} ({max(named)}) {unit}" if named else f"0/{len(found)}"

    for name, shifted in shifts(table).items():
        pairs = [records_until_named(table, shifted, name, seed) for seed in range(repeats)]
        print(f"\n{name}: newest 500 records: {words([p[0] for p in pairs], 'records')}", end="; ")
        print(f"the earlier rule: {words([p[1] for p in pairs], 'records')}", flush=True)
        for rate in rates:
            hours = [hours_until_named(table, shifted, name, rate, seed) for seed in range(max(repeats // 5, 1))]
            print(f"{name}: a day, {rate:g} records/s: {words(hours, 'hours')}", flush=True)


def split(table: TableRows, seed: int) -> tuple[Floats, Population]:
    """Return 5,000 reference rows and the population: both come from all rows, so neither differs by its making."""
    generator = np.random.default_rng(seed)
    reference = table.rows[generator.integers(len(table.rows), size=DEFAULT_RULE.reference_rows)]
    return reference, Population.of(table.rows, seed)


def main() -> int:
    """Print the tables; exit 0 when no simulated month has more than one notification."""
    parser = argparse.ArgumentParser(description="Simulate months of traffic without drift, and real shifts.")
    parser.add_argument("folder", type=Path, help="the folder of the public tables")
    parser.add_argument("--tables", nargs="+", default=["churn"], choices=sorted(TABLES))
    parser.add_argument("--patterns", nargs="+", choices=[p.name for p in PATTERNS], help="all, if none is named")
    parser.add_argument("--rates", nargs="+", type=float, default=[1, 10, 100], help="records a second")
    parser.add_argument("--months", type=int, default=1, help="months for each pattern and rate")
    parser.add_argument("--hours", type=int, default=720, help="hours of a month")
    parser.add_argument("--old-records", type=int, default=0, help="records that the earlier rule judges")
    parser.add_argument("--shifts", type=int, default=0, help="streams in which each shift is looked for")
    arguments = parser.parse_args()
    tables = {name: TableRows.read(name, arguments.folder / TABLES[name]) for name in arguments.tables}
    if arguments.shifts:
        print_power(tables["churn"], arguments.rates, arguments.shifts)
    held = print_months(tables, arguments)
    print("\nheld" if held else "\nNOT held")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
