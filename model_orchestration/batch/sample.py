"""Makes a day's applications from the use case's sample, to try the batch with: `… batch.sample 2026-11-20 [rows]`."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd

from model_orchestration.batch.places import Place, day_of, inputs_of, place_of
from model_orchestration.tables.training_table import prepare
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.usecase import UseCase, load_use_case

ROWS = 1_200  # claims' usual day


def write_sample(use_case: UseCase, where: Place, day: date, rows: int) -> str:
    """Write `rows` applications of `day`, the same ones each time, and return their name. Raises TableError."""
    made = prepare(pd.DataFrame(use_case.sample(rows, day.toordinal(), 0.0)), use_case)
    table = pd.DataFrame(made.records)
    table.insert(0, "application", [f"{day}-{i}" for i in range(rows)])
    name = inputs_of(day)[0]
    with where.workspace(day) as folder:
        file = Path(folder) / "applications.parquet"
        table.to_parquet(file, index=False)
        where.publish(file, name)
    return name


def main() -> None:
    """Write them where the batch looks; status 1 and one line where it cannot be done."""
    settings = settings_or_exit()
    try:
        use_case = load_use_case(settings.use_case)
        day = day_of("".join(sys.argv[1:2]) or None, use_case, datetime.now(UTC))
        where, rows = place_of(use_case, settings), int("".join(sys.argv[2:3]) or ROWS)
        sys.stdout.write(f"{where}/{write_sample(use_case, where, day, rows)}: {rows:,} rows\n")
    except ScorehouseError as error:
        sys.exit(f"applications: {error}")


if __name__ == "__main__":
    main()
