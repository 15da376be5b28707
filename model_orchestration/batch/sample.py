"""Writes a day's applications from the use case's sample, to try the batch: `… batch.sample 2026-11-20 [rows]`."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd

from model_orchestration.batch.places import Place, batch_place, input_names, parse_day
from model_orchestration.tables.training_table import prepare
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError, UseCaseError
from scorehouse.pages.loading import load_use_case
from scorehouse.usecase import UseCase

ROWS = 1_200  # a usual day of claims


def write_sample(use_case: UseCase, place: Place, day: date, rows: int) -> str:
    """Write `rows` applications of `day`, the same ones each time. Return the name of the file.

    Raises:
        TableError: the sample has faults.
        UseCaseError: the page has no sample, or it fails.
    """
    if use_case.sample is None:
        raise UseCaseError(
            f"{use_case.name} has no sample: put the day's file at {place}/{input_names(day)[0]} yourself"
        )
    sample = prepare(pd.DataFrame(use_case.draw_sample(rows, day.toordinal())), use_case)
    table = pd.DataFrame(sample.records)
    table.insert(0, "application", [f"{day}-{i}" for i in range(rows)])
    name = input_names(day)[0]
    with place.workspace(day) as folder:
        file = Path(folder) / "applications.parquet"
        table.to_parquet(file, index=False)
        place.publish(file, name)
    return name


def main() -> None:
    """Write the applications where the batch looks for them. If that fails, end with status 1 and the reason."""
    settings = settings_or_exit()
    try:
        use_case = load_use_case(settings.use_case)
        day = parse_day("".join(sys.argv[1:2]) or None, use_case, datetime.now(UTC))
        place = batch_place(use_case, settings)
        rows = int("".join(sys.argv[2:3]) or ROWS)
        sys.stdout.write(f"{place}/{write_sample(use_case, place, day, rows)}: {rows:,} rows\n")
    except ScorehouseError as error:
        sys.exit(f"applications: {error}")


if __name__ == "__main__":
    main()
