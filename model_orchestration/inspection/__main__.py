"""Writes a use case for a table: `python -m model_orchestration.inspection TABLE TARGET [--key K] [--name N]`."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table as Grid

from model_orchestration.inspection.inspection import Inspection, inspect_table
from model_orchestration.inspection.page import Written, page_name, write_page
from model_orchestration.inspection.report import write_report
from scorehouse.errors import ScorehouseError, TableError
from scorehouse.tables.frames import read_frame


def main() -> None:
    """Inspect the table, write the page and the report, and say what was decided."""
    parser = argparse.ArgumentParser(prog="make use-case", description=__doc__)
    parser.add_argument("table", help="the table: CSV, Parquet or a workbook")
    parser.add_argument("target", nargs="?", default="", help="the column to predict")
    parser.add_argument("--key", default="", help="the column that names rows that belong together")
    parser.add_argument("--time", default="", help="the column with the time of a row: the newest rows judge the model")
    parser.add_argument("--name", default="", help="the use case's name; the file's name if empty")
    parser.add_argument("--reports", type=Path, default=Path("var/inspections"), help="the folder of the report")
    arguments = parser.parse_args()
    console = Console()
    if not arguments.table:
        sys.exit("use-case: TABLE is missing: make use-case TABLE=people.csv TARGET=column")
    name = arguments.name or page_name(arguments.table)
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        sys.exit(f"use-case: NAME is {name!r}: use small letters, digits and _, and begin with a letter")
    try:
        inspection = _inspect(arguments.table, arguments.target, arguments.key, arguments.time, console)
        report = write_report(inspection, arguments.reports / f"{name}.html")
        written = write_page(inspection, name, arguments.table)
    except ScorehouseError as error:
        sys.exit(f"use-case: {error}")
    _show(inspection, console)
    _say_next(written, report, name, console)


def _inspect(table: str, target: str, key: str, time: str, console: Console) -> Inspection:
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"reading {escape(table)}", total=1)
        try:
            content = Path(table).read_bytes()
        except OSError as error:
            raise TableError(f"{table} cannot be read: {error.strerror}") from error
        frame = read_frame(content, table)
        progress.update(task, description=f"inspecting {len(frame.table):,} rows")
        return inspect_table(frame, table, target, key, time, lambda share: progress.update(task, completed=share))


def _show(inspection: Inspection, console: Console) -> None:
    target = inspection.target
    grid = Grid("column", "used as", "missing", "values", "remarks", box=None, header_style="bold", pad_edge=False)
    for column in inspection.columns:
        remarks = "; ".join(filter(None, (column.warning, column.remarks)))
        if column.name == target.name:
            remarks = "; ".join(filter(None, (remarks, *target.guesses)))
        style = "yellow" if column.warning else "dim" if column.role == "left out" else None
        grid.add_row(
            *map(escape, (column.name, column.role, inspection.gaps(column), column.shown, remarks)), style=style
        )
    console.print(inspection.read_as, highlight=False, markup=False)
    console.print(grid)
    for caveat in inspection.caveats:
        console.print(f"\n[yellow]Note:[/yellow] {escape(caveat)}", highlight=False)


def _say_next(written: Written, report: Path, name: str, console: Console) -> None:
    console.print()
    if written.is_new:
        lines = [f"wrote {written.path}: check its guesses"]
    elif written.difference:
        lines = [
            written.difference,
            f"{written.path} is there already and was left as it is; above is how the new page differs",
            "to get the new page, delete the old one first, or add NAME=… to write it beside the old one",
        ]
    else:
        lines = [f"{written.path} is there already and would not change"]
    lines += [f"report: {report}, which shows every column", f"next: USE_CASE={name} make demo"]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)  # a wrapped difference is none


if __name__ == "__main__":
    main()
