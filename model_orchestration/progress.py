"""Shows how far a long job is: a bar on a terminal, a log line for each tenth elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Advance = Callable[[float, str], None]  # the share that is done, 0 to 1, and what to say about it
Log = Callable[[str], object]


@contextmanager
def show_progress(title: str, log: Log) -> Iterator[Advance]:
    """Yield the function to call after each step of the job. `log` takes the lines where there is no terminal."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield log_tenths(log)
        return
    columns = (TextColumn("[bold]{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[status]}"), console=console) as bar:
        job = bar.add_task(title, total=1.0, status="")
        yield lambda share, status: bar.update(job, completed=share, status=status)


def log_tenths(log: Log) -> Advance:
    """Return a function that logs a line whenever another tenth of the job is done."""
    logged = 0

    def advance(share: float, status: str) -> None:
        nonlocal logged
        tenths = int(share * 10)
        if tenths > logged:
            logged = tenths
            log(f"{tenths * 10} %, {status}")

    return advance
