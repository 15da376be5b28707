"""`make bench-leaks`: adds the answer to real tables in disguise, and counts how often an inspection finds it.

It also lists every column of these tables that is left out, with the reason that a person reads. The exit status is 1
if a disguise is neither left out nor flagged.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape

from benchmarks.public_tables import EIGHT, TABLES
from model_orchestration.inspection.inspection import Inspection, inspect_table
from scorehouse.errors import TableError
from scorehouse.tables.frames import Frame, read_frame

TEN = (
    "auto", "bikes", "credit", "defaults", "wages", "fifa", "bank_marketing", "diamonds", "heart", "pensions",
)  # fmt: skip
NAME = "added"
CORRELATION = 0.99
PER_KEY = 5  # rows of a key, on average
Disguise = Callable[[pd.Series, np.random.Generator, np.ndarray], Any]
console = Console()


def codes_of(target: pd.Series) -> np.ndarray:
    """Return a target as numbers: amounts as they are, classes by their place in the alphabet; NaN where it is none."""
    if pd.api.types.is_numeric_dtype(target):
        return target.to_numpy(dtype=np.float64, na_value=np.nan)
    codes, _ = pd.factorize(target, sort=True)
    return np.where(codes < 0, np.nan, codes)


def copy(target: pd.Series, rng: np.random.Generator, keys: np.ndarray) -> Any:
    """Return the target itself."""
    return target


def codes(target: pd.Series, rng: np.random.Generator, keys: np.ndarray) -> Any:
    """Return each class by a word of its own, or the amount in another unit."""
    if target.nunique() > 20:
        return codes_of(target) * 2.54 + 7
    levels = list(target.dropna().unique())
    words = dict(zip(levels, rng.permutation([f"code {n}" for n in range(len(levels))]), strict=True))
    return target.map(words)


def noisy_number(target: pd.Series, rng: np.random.Generator, keys: np.ndarray) -> Any:
    """Return the target as a number with noise, so that the correlation is .99."""
    numbers = codes_of(target)
    spread = np.nanstd(numbers) * np.sqrt(1 / CORRELATION**2 - 1)
    return np.round(numbers + rng.normal(0, spread, len(numbers)), 6)


def noisy_classes(target: pd.Series, rng: np.random.Generator, keys: np.ndarray) -> Any:
    """Return the target where a few rows have the value of another row, so that the correlation is just over .99."""
    changed = target.copy()
    numbers = codes_of(target)
    for row in rng.permutation(np.flatnonzero(np.isfinite(numbers))):
        before = changed.iloc[row]
        changed.iloc[row] = target.iloc[rng.choice(np.flatnonzero(np.isfinite(numbers)))]
        both = np.isfinite(numbers)
        if np.corrcoef(codes_of(changed)[both], numbers[both])[0, 1] < CORRELATION:
            changed.iloc[row] = before
            break
    return changed


def mean_by_key(target: pd.Series, rng: np.random.Generator, keys: np.ndarray) -> Any:
    """Return the mean of the target for each key."""
    return pd.Series(codes_of(target)).groupby(keys).transform("mean").to_numpy()


def sum_by_key(target: pd.Series, rng: np.random.Generator, keys: np.ndarray) -> Any:
    """Return the sum of the target for each key."""
    return pd.Series(codes_of(target)).groupby(keys).transform("sum").to_numpy()


DISGUISES: Mapping[str, Disguise] = {
    "copy": copy, "codes": codes, "noisy number": noisy_number, "noisy classes": noisy_classes,
    "mean by key": mean_by_key, "sum by key": sum_by_key,
}  # fmt: skip
BY_KEY = {"mean by key", "sum by key"}


def main() -> None:
    """Inspect, and print what was found."""
    parser = argparse.ArgumentParser(prog="make bench-leaks", description=__doc__)
    parser.add_argument("--folder", type=Path, help="a folder with the eight tables")
    parser.add_argument("--site", type=Path, default=Path(".tables"), help="the environment with the packages")
    arguments = parser.parse_args()
    missed = found = 0
    with tempfile.TemporaryDirectory() as temporary:
        for name, path, target in _tables(arguments.folder, arguments.site, Path(temporary)):
            frame = read_frame(path.read_bytes(), str(path))
            try:
                plain = inspect_table(frame, str(path), target)
            except TableError as error:
                console.print(f"{name}: {error}", markup=False, highlight=False, soft_wrap=True)
                continue
            results = {disguise: judge(frame, target, disguise) for disguise in DISGUISES}
            found += sum(not miss for miss in results.values())
            missed += sum(map(bool, results.values()))
            say(name, plain, results)
    console.print(f"{found} of {found + missed} disguises of the answer were left out or flagged", highlight=False)
    sys.exit(missed > 0)


def _tables(folder: Path | None, site: Path, copies: Path) -> Iterator[tuple[str, Path, str]]:
    if folder is not None:
        yield from ((name, folder / f"{name}.csv", target) for name, target in EIGHT.items())
    (packages,) = site.glob("lib/python*/site-packages")
    yield from ((t.name, t.copy_to(copies, packages), t.target) for t in TABLES if t.name in TEN)


def judge(frame: Frame, target: str, disguise: str) -> str:
    """Return an empty string if the disguised answer is left out or flagged, else what was made of it."""
    rng = np.random.default_rng(0)
    table = frame.table
    keys = rng.integers(0, max(2, len(table) // PER_KEY), len(table))
    if disguise == "noisy classes" and table[target].nunique() > 20:
        return ""  # amounts have the noisy number
    added = table.assign(**{NAME: DISGUISES[disguise](table[target], rng, keys)})
    if disguise in BY_KEY:
        added = added.assign(household=keys)
    made = read_frame(added.to_csv(index=False).encode(), "disguised.csv")
    column = next(c for c in inspect_table(made, "disguised.csv", target).columns if c.name == NAME)
    return "" if column.warning or column.left_out.startswith(("leak", "copy")) else f"used as {column.role}"


def say(name: str, plain: Inspection, results: Mapping[str, str]) -> None:
    """Print the verdicts, and what the table itself loses."""
    verdicts = ", ".join(f"{d}: {'MISSED, ' + m if m else 'found'}" for d, m in results.items())
    console.print(f"[bold]{name}[/bold]  {verdicts}", highlight=False, soft_wrap=True)
    for column in plain.columns:
        if column.role == "left out":
            console.print(
                f"  {escape(column.name)} is left out: {escape(column.left_out)}", highlight=False, soft_wrap=True
            )
        elif column.warning:
            console.print(f"  {escape(column.name)} is kept: {escape(column.warning)}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
