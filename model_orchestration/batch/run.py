"""Scores a day as the settings say: alone, or inside the Prefect flow."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from model_orchestration.batch.day import Report, Submit, WaitForChunk, score_day
from model_orchestration.batch.places import batch_place, parse_day
from model_orchestration.batch.records import Written
from model_orchestration.batch.scoring import Model, resolve_model, score_chunk
from model_orchestration.progress import Log, show_progress
from scorehouse.pages.loading import load_use_case
from scorehouse.settings import Settings
from scorehouse.stores.open import open_store


def submit_here(model: Model, chunk: pa.Table, written: Written) -> WaitForChunk:
    """Score the chunk in this process, at the moment when its answers are asked for."""
    return lambda: score_chunk(model, chunk, written)


def score(settings: Settings, day: str | None, log: Log, submit: Submit = submit_here, in_flight: int = 1) -> Report:
    """Score the applications of `day`, or of yesterday if it is None. Raises as `score_day` and `resolve_model`."""
    use_case = load_use_case(settings.use_case)
    now = datetime.now(UTC)
    when = parse_day(day, use_case, now)
    place = batch_place(use_case, settings)
    model = resolve_model(settings, use_case)
    with show_progress(f"{use_case.name} {when}", log) as advance:
        return score_day(
            use_case, place, when, model, open_store(settings.store), submit, in_flight,
            lambda share, rows: advance(share, f"{rows:,} rows"), now,
        )  # fmt: skip
