"""Shows how far the traffic is: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from simulation_business.traffic.tally import Tally

LINE_SECONDS = 10.0


@contextmanager
def progress(
    console: Console, what: str, total: int | None, tally: Tally, clock: Callable[[], float]
) -> Iterator[Callable[[], None]]:
    """Yield the function to call now and then. `total` is None for traffic without end."""
    if not console.is_terminal:
        yield _Lines(console, what, total, tally, clock)
        return
    columns = (
        SpinnerColumn(),
        TextColumn(f"[bold]{what}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[counts]}"),
    )
    with Progress(*columns, console=console) as bar:
        job = bar.add_task(what, total=total, counts="")
        yield lambda: bar.update(job, completed=tally["sent"], counts=tally.to_line())
        bar.update(job, completed=tally["sent"], counts=tally.to_line())


class _Lines:
    def __init__(self, console: Console, what: str, total: int | None, tally: Tally, clock: Callable[[], float]):
        self._console = console
        self._what = what
        self._tally = tally
        self._clock = clock
        self._of = "" if total is None else f" of {total:,}"
        self._next_at = clock() + LINE_SECONDS

    def __call__(self) -> None:
        if self._clock() >= self._next_at:
            self._next_at = self._clock() + LINE_SECONDS
            self._console.print(
                f"{self._what}: {self._tally['sent']:,}{self._of} sent, {self._tally.to_line()}", highlight=False
            )
