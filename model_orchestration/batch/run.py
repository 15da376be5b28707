"""A day's batch as the settings say, with a bar or a line at each tenth: alone, or within the Prefect flow."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from model_orchestration.batch.day import Advance, Report, Submit, Waiting, score_day
from model_orchestration.batch.places import day_of, place_of
from model_orchestration.batch.scoring import Model, model_of, score_chunk
from scorehouse.settings import Settings
from scorehouse.usecase import load_use_case

Say = Callable[[str], object]


def here(model: Model, chunk: pa.Table, text: bool) -> Waiting:
    """Score in this process, when the answer is asked for."""
    return lambda: score_chunk(model, chunk, text)


def score(settings: Settings, day: str | None, say: Say, submit: Submit = here, in_flight: int = 1) -> Report:
    """Score the applications of `day`, yesterday's if it is None; raises what `score_day` and `model_of` raise."""
    use_case = load_use_case(settings.use_case)
    when = day_of(day, use_case, datetime.now(UTC))
    where, model = place_of(use_case, settings), model_of(settings, use_case)
    with _progress(f"{use_case.name} {when}", say) as advance:
        return score_day(use_case, where, when, model, submit, in_flight, advance)


@contextmanager
def _progress(what: str, say: Say) -> Iterator[Advance]:
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield _each_tenth(say)
        return
    columns = (TextColumn("[bold]{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[rows]} rows"), console=console) as bar:
        work = bar.add_task(what, total=1.0, rows="0")
        yield lambda share, rows: bar.update(work, completed=share, rows=f"{rows:,}")


def _each_tenth(say: Say) -> Advance:
    told = 0

    def advance(share: float, rows: int) -> None:
        nonlocal told
        if int(share * 10) > told:
            told = int(share * 10)
            say(f"{told * 10} %, {rows:,} rows")

    return advance
