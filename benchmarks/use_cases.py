"""`make bench-use-cases`: from tables of strangers to first answers, with no edit of the pages that are written.

Each table is copied into a folder, `make use-case` writes its page, and a process of its own loads the page, trains as
the product does but without MLflow and Prefect, and gets a held-out record answered by the HTTP door's application.
Without FOLDER, the tables are those of the packages in requirements/tables.txt. The exit status is 1 if more than 5 %
of them do not work.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from benchmarks.public_tables import EIGHT, TABLES

ROOT = Path(__file__).resolve().parent.parent
LEAST = 0.95  # share of tables that must work
SECONDS = 600  # after which a step of a table has failed
console = Console()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one table: `trained` is what `benchmarks.use_case_model` says, and `error` the last line."""

    name: str
    target: str
    inspected: float  # seconds
    finished: float  # seconds until the first answer, from before the inspection
    processor: float  # seconds of processor time until then: what an idle core would need
    trained: dict[str, object]
    error: str = ""


def main() -> None:
    """Run every table, print a line for each and the Markdown table of the docs."""
    parser = argparse.ArgumentParser(prog="make bench-use-cases", description=__doc__)
    parser.add_argument("--folder", type=Path, help="a folder of tables; those of the packages if it is not given")
    parser.add_argument("--site", type=Path, default=Path(".tables"), help="the environment with the packages")
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=(), help="names of tables")
    parser.add_argument("--keep", type=Path, help="a folder for tables, pages and reports, which stays")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.keep or Path(temporary)).resolve()
        (folder / "use_cases").mkdir(parents=True, exist_ok=True)
        tables = list(_tables(arguments.folder, arguments.site, folder, arguments.only))
        console.print(f"load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", highlight=False)
        outcomes = []
        for name, path, target in tables:
            outcomes.append(run(name, path, target, folder, arguments.trials))
            _say(outcomes[-1])
    print(markdown(outcomes))
    console.print(f"load: {os.getloadavg()[0]:.1f}", highlight=False)
    failed = [outcome for outcome in outcomes if outcome.error]
    console.print(f"{len(outcomes) - len(failed)} of {len(outcomes)} tables work without an edit", highlight=False)
    sys.exit(len(failed) > (1 - LEAST) * len(outcomes))


def _tables(given: Path | None, site: Path, folder: Path, only: Sequence[str]) -> Iterator[tuple[str, Path, str]]:
    """Yield name, file and target of each table; those of packages are copied into `folder`."""
    if given is not None:
        for path in sorted(given.glob("*.csv")):
            if path.stem in EIGHT and (not only or path.stem in only):
                yield path.stem, path.resolve(), EIGHT[path.stem]
        return
    (packages,) = site.glob("lib/python*/site-packages")
    for table in TABLES:
        if not only or table.name in only:
            yield table.name, table.copy_to(folder, packages), table.target


def run(name: str, path: Path, target: str, folder: Path, trials: int) -> Outcome:
    """Inspect a table, train on it and get an answer, in `folder`."""
    began, before = time.perf_counter(), _processor_time()
    inspection = ["-m", "model_orchestration.inspection", str(path), target, "--name", name]
    code, output, error = _python(inspection, folder)
    inspected = time.perf_counter() - began
    if code:
        return Outcome(name, target, inspected, inspected, _processor_time() - before, {}, error or output)
    code, output, error = _python(["-m", "benchmarks.use_case_model", name, str(path), str(trials)], folder)
    finished, used = time.perf_counter() - began, _processor_time() - before
    if code:
        return Outcome(name, target, inspected, finished, used, {}, error)
    return Outcome(name, target, inspected, finished, used, json.loads(output.splitlines()[-1]))


def _processor_time() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _python(arguments: list[str], folder: Path) -> tuple[int, str, str]:
    """Run Python in `folder`; return its status, its output, and the last line of its errors."""
    env = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}:{ROOT / 'src'}", "COLUMNS": "200"}
    try:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False,
            timeout=SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 1, "", f"not finished after {SECONDS} s"
    lines = done.stderr.strip().splitlines()
    is_traceback = any(line.startswith("Traceback") for line in lines)
    last = (lines or [""])[-1] if is_traceback or done.returncode == 0 else " ".join(" ".join(lines).split())
    return done.returncode, done.stdout, f"TRACEBACK {last}" if is_traceback else last


def _say(outcome: Outcome) -> None:
    if outcome.error:
        console.print(f"[red]✗[/red] {outcome.name}: {escape(outcome.error)}", highlight=False, soft_wrap=True)
        return
    t = outcome.trained
    console.print(
        f"[green]✓[/green] {outcome.name}: {t['rows']:,} rows, {t['task']}, {t['figure']}; "
        f"{outcome.inspected:.0f} s inspection, {outcome.finished:.0f} s to the first answer "
        f"({outcome.processor:.0f} s of processor time), {t['megabytes']} MB",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as a table of Markdown."""
    lines = ["| table | rows | columns | target | task | on held-out rows | seconds | of processor time |"]
    lines.append("|---|--:|--:|---|---|---|--:|--:|")
    for one in outcomes:
        t = one.trained
        if one.error:
            lines.append(f"| {one.name} | | | `{one.target}` | refused | {one.error} | | |")
        else:
            lines.append(
                f"| {one.name} | {t['rows']:,} | {t['columns']} | `{one.target}` | {t['task']} | {t['figure']} "
                f"| {one.finished:.0f} | {one.processor:.0f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
