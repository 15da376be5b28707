"""How far the traffic is: a bar where a person watches, one line each ten seconds where not."""

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
    """Yield the function to call now and then; `total` is None where the traffic has no end."""
    if not console.is_terminal:
        yield _Lines(console, what, total, tally, clock)
        return
    columns = (
        SpinnerColumn(),
        TextColumn(f"[bold]{what}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}"),
    )
    with Progress(*columns, console=console) as bar:
        work = bar.add_task(what, total=total, words="")
        yield lambda: bar.update(work, completed=tally["sent"], words=tally.words())
        bar.update(work, completed=tally["sent"], words=tally.words())


class _Lines:
    def __init__(self, console: Console, what: str, total: int | None, tally: Tally, clock: Callable[[], float]):
        self._console, self._what, self._tally, self._clock = console, what, tally, clock
        self._of = "" if total is None else f" of {total:,}"
        self._next = clock() + LINE_SECONDS

    def __call__(self) -> None:
        if self._clock() >= self._next:
            self._next = self._clock() + LINE_SECONDS
            self._console.print(
                f"{self._what}: {self._tally['sent']:,}{self._of} sent, {self._tally.words()}", highlight=False
            )
