"""The same bytes give the same values in training, in the batch and at /invocations, whatever program wrote them."""

from __future__ import annotations

import io
import os
from random import Random
from typing import Any

from scorehouse.tables.cells import to_values
from scorehouse.tables.columns import to_values as column_values
from scorehouse.tables.frames import read_frame
from scorehouse.tables.table import Table
from server.web.api.csv_rows import csv_records
from tests.random_tables import (
    FEATURES,
    Dialect,
    draw_dialect,
    draw_table,
    is_clear,
    write_parquet,
    write_text,
    write_workbook,
)
from tests.random_tables import carried as carried_as

TABLES = int(os.environ.get("TABLES", "150"))  # each is written as CSV, Parquet and xlsx
NAMES = [f.name for f in FEATURES]


def by_batch(content: bytes) -> tuple[list[dict[str, Any]], list[str | None], list[int]]:
    table = Table(io.BytesIO(content), "table")
    records: list[dict[str, Any]] = []
    carried: list[str | None] = []
    rows: list[int] = []
    for chunk in table.chunks(7):
        columns = [column_values(chunk.table[f.name].combine_chunks(), f, table.notations.of(f)) for f in FEATURES]
        records += [dict(zip(NAMES, row, strict=True)) for row in zip(*columns, strict=True)]
        carried += chunk.table["customer, id"].to_pylist()
        rows += chunk.rows.tolist()
    return records, carried, rows


def by_training(content: bytes) -> tuple[list[dict[str, Any]], list[int]]:
    frame = read_frame(content, "table", FEATURES)
    assert frame.notations is not None
    columns = [to_values(frame.table[f.name].tolist(), f, frame.notations.of(f)) for f in FEATURES]
    return [dict(zip(NAMES, row, strict=True)) for row in zip(*columns, strict=True)], frame.rows.tolist()


def by_door(content: bytes) -> list[dict[str, Any]]:
    return [{name: record[name] for name in NAMES} for record in csv_records(content, FEATURES, 1000)]


def typed(records: list[dict[str, Any]]) -> list[list[tuple[str, Any]]]:
    return [[(type(value).__name__, value) for value in record.values()] for record in records]


def test_tables_of_every_form_are_read_alike_and_as_they_are_meant() -> None:
    for seed in range(TABLES):
        faults = check(seed)
        assert not faults, "\n".join(faults)


def check(seed: int) -> list[str]:
    """Return what is wrong with the readings of one table."""
    random = Random(seed)
    table = draw_table(random)
    dialect = draw_dialect(random)
    faults = []
    for form, content in (
        (dialect, write_text(table, dialect)),
        ("Parquet", write_parquet(table, random)),
        ("xlsx", write_workbook(table, random)),
    ):
        try:
            faults += [f"{seed} {form}: {f}" for f in _compare(table, form, content)]
        except Exception as error:
            faults.append(f"{seed} {form}: {type(error).__name__}: {error}")
    return faults


def _compare(table: Any, form: Any, content: bytes) -> list[str]:
    faults = []
    batch, carried, rows = by_batch(content)
    training, training_rows = by_training(content)
    if typed(training) != typed(batch):
        faults.append(f"training reads\n{training}, the batch\n{batch}")
    if rows != training_rows:
        faults.append("rows differ")
    text = isinstance(form, Dialect)
    two_layers = text and form.packer == "zip of gzip"  # more than a body may have
    if text and not two_layers and typed(by_door(content)) != typed(batch):
        faults.append(f"/invocations reads\n{by_door(content)}, the batch\n{batch}")
    meant = [(r, n) for r, n in zip(table.records, table.notes, strict=True)
             if any(v is not None for v in r.values()) or n.strip() or (text and form.gap.strip())]  # fmt: skip
    if (not text or is_clear(table, form)) and typed([r for r, _ in meant]) != typed(batch):
        faults.append(f"meant\n{[r for r, _ in meant]}, read\n{batch}")
    notes = [
        carried_as(n, form).encode(form.encoding, "replace").decode(form.encoding) if text else n for _, n in meant
    ]
    if [n or None for n in notes] != [c or None for c in carried]:
        faults.append(f"the carried column was {notes} and is {carried}")
    return faults
