"""`make bench-table-traffic`: which columns drift in the traffic that a real table gives, without and with drift sent.

    python -m benchmarks.table_traffic titanic.csv:Survived churn=credit_card_churn.csv.gz [--generated] [--runs 3]

TABLE:TARGET writes a page as `make use-case` does, and USE_CASE=TABLE uses the page that there is. A model is trained
on the table, then answers as much traffic as the demo sends, and the monitor's own code judges its windows. Drift grows
over 500 records. With --generated, the page's `sample` is sent, as it was before a table was.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import use_cases
from model_orchestration.inspection.inspection import inspect_table
from model_orchestration.inspection.page import page_name, write_page
from model_orchestration.training.bundling import write_bundle
from model_orchestration.training.training import Training
from monitoring.evidently_service.drift.verdict import drift_rule
from monitoring.evidently_service.windows.watch import Watch
from scorehouse.bundles import bundle
from scorehouse.errors import ScorehouseError
from scorehouse.pages.loading import load_use_case
from scorehouse.scoring.figures import figure_label
from scorehouse.scoring.schema import Rejected
from scorehouse.settings import Settings
from scorehouse.tables.frames import read_frame
from scorehouse.usecase import UseCase
from simulation_business.traffic.shift import describe
from simulation_business.traffic.table import RealTable, read_real_table
from simulation_business.traffic.traffic import NO_DRIFT, Drift, Row, generate_rows, to_cases

USUAL, DRIFTING, BATCH = 4_000, 2_000, 250  # records, as the demo sends them, and how many the monitor reads at once
DRIFT = Drift(0, 500)
RUN = "0" * 32


def main() -> int:
    """Measure each table; return 1 if a column drifts without drift, or nothing drifts with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="+", help="TABLE:TARGET or USE_CASE=TABLE")
    parser.add_argument("--generated", action="store_true", help="send the page's sample")
    parser.add_argument(
        "--runs", type=int, default=3, help="how often the traffic is sent, each time with other rows (3)"
    )
    parser.add_argument("--trials", type=int, default=10, help="of the search (10)")
    arguments = parser.parse_args()
    console = Console(width=150)
    shown = Table(box=SIMPLE_HEAD)
    for name in ("table", "rows", "unseen", "drift without", "windows", "sent", "found", "test", "live"):
        shown.add_column(name)
    held = True
    with tempfile.TemporaryDirectory() as folder:
        use_cases.__path__.append(folder)
        for named in arguments.tables:
            try:
                use_case, source = page(named, Path(folder))
                row, good = measure(use_case, source, Path(folder), arguments)
            except ScorehouseError as error:
                row, good = (named.rpartition("/")[2], "", "", str(error)[:60]), True
            shown.add_row(*row)
            console.print(*row, sep=" | ", highlight=False, markup=False)
            held &= good
    console.print(shown)
    return 0 if held else 1


def page(named: str, folder: Path) -> tuple[UseCase, str]:
    """Return the use case and the path of its table; write the page if there is none."""
    if "=" in named:
        name, _, source = named.partition("=")
        return load_use_case(name), source
    source, _, target = named.partition(":")
    name = page_name(source)
    frame = read_frame(Path(source).read_bytes(), source)
    write_page(inspect_table(frame, source, target), name, source, folder)
    return load_use_case(name), source


def measure(use_case: UseCase, source: str, folder: Path, options: argparse.Namespace) -> tuple[tuple[str, ...], bool]:
    """Return a line of the table, and whether nothing drifted without drift, and something with it."""
    real = read_real_table(use_case, Settings(data=source))
    assert real is not None
    training = Training(use_case, real.table)
    trained = training.retrain(training.best(list(training.search(options.trials)), 1)[0])
    place = folder / f"{use_case.name}-bundle"
    digest = write_bundle(place, RUN, training, trained, RUN, datetime.now(UTC))
    model = bundle.load(place, digest)
    quiet, found, judged, live = Counter[str](), Counter[str](), 0, []
    for seed in range(options.runs):
        watch = Watch(model, use_case, drift_rule(0))
        usual, drifting = rows(use_case, real, seed, options.generated)
        counts, windows = send(watch, use_case, usual, USUAL, seed)
        quiet += counts
        judged += windows
        live.append(watch.quality.get(use_case.rank_by, np.nan))
        send(watch, use_case, drifting, DRIFTING, seed + 1000)
        found.update(list(watch.drifting))
    metric = use_case.rank_by
    sent = "the sample's" if options.generated else describe(real.shifts())
    line = (
        use_case.name, f"{len(real.table.truth):,}", f"{int(real.unseen.sum()):,}{' made' if real.is_small else ''}",
        shares(quiet, judged) or "none", f"{judged}", sent, shares(found, options.runs) or "none",
        f"{figure_label(metric)} {trained.quality[f'test_{metric}']:.3g}", f"{np.mean(live):.3g}",
    )  # fmt: skip
    return line, not quiet and bool(found)


def rows(use_case: UseCase, real: RealTable, seed: int, generated: bool) -> tuple[Iterator[Row], Iterator[Row]]:
    """Return usual and drifting rows."""
    if generated:
        return generate_rows(use_case, seed + 7, NO_DRIFT), generate_rows(use_case, seed + 70, DRIFT)
    return real.rows(seed + 7), real.rows(seed + 70, DRIFT, real.shifts())


def send(watch: Watch, use_case: UseCase, sent: Iterator[Row], count: int, seed: int) -> tuple[Counter[str], int]:
    """Let the model answer `count` records and the monitor read them; return how often each column drifted."""
    scorer = watch.bundle.scorer(use_case)
    found, windows = Counter[str](), 0
    seq = itertools.count(int(watch.window.numbers.max(initial=0)) + 1)
    bare = 0.3 if use_case.mask_optional else 0.0
    cases = itertools.islice(to_cases(use_case, sent, seed, bare=bare), count)
    began = datetime.now(UTC)
    while batch := list(itertools.islice(cases, BATCH)):
        records = [orjson.loads(case.body) for case in batch]
        answers = scorer.score(records)
        documents = []
        for case, record, answer, number in zip(batch, records, answers, seq, strict=False):
            if isinstance(answer, Rejected):
                sys.exit(f"{use_case.name}: a record is refused: {answer.reason}")
            ids = {"prediction_id": record.pop("prediction_id"), "customer_id": record.pop("customer_id")}
            at = (began + timedelta(milliseconds=number)).isoformat()
            outcome = use_case.classes.index(case.outcome) if use_case.classes else case.outcome
            answered = {"seq": number, "record": record, "prediction": answer, "outcome": outcome}
            documents.append({**ids, **answered, "created_at": at, "outcome_at": at})
        watch.take(documents)
        watch.take_outcomes(documents)
        if watch.due:
            watch.evaluate()
            windows += 1
            found.update(list(watch.drifting))
    return found, windows


def shares(counts: Counter[str], of: int) -> str:
    """Return `a, b 3/9`: the columns, and how often those that were not found each time."""
    return ", ".join(name + (f" {n}/{of}" if n < of else "") for name, n in counts.most_common())


if __name__ == "__main__":
    sys.exit(main())
