"""The Prefect flow of the nightly batch: in the flow's own process, or on the workers of a Dask cluster."""

from __future__ import annotations

import os
import warnings
from typing import Any

import pyarrow as pa
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture

from model_orchestration.batch.day import Report, WaitForChunk
from model_orchestration.batch.records import Written
from model_orchestration.batch.run import score
from model_orchestration.batch.scoring import Model, Scored, score_chunk
from model_orchestration.refusals import refuse_in_one_line
from scorehouse.environment import read_settings
from scorehouse.errors import SettingError

NAME = "score_batch"
CHUNKS_PER_THREAD = 2  # one that is being scored and one that waits

chunk_task = task(name="score a chunk", persist_result=False, cache_policy=NO_CACHE)(score_chunk)


@flow(name=NAME, persist_result=False)
@refuse_in_one_line
def score_batch(day: str | None = None) -> str:
    """Score the applications of `day` (YYYY-MM-DD), or of yesterday in the use case's time zone. Return the report."""
    settings = read_settings(os.environ)
    if address := settings.dask_scheduler_address:
        from prefect_dask.task_runners import DaskTaskRunner

        runner: Any = DaskTaskRunner(address=address)
        report = _score_on_dask.with_options(task_runner=runner)(day, count_threads(address))
    else:
        report = score(settings, day, get_run_logger().info)
    get_run_logger().info("%s", report)
    key = f"{settings.use_case.replace('_', '-')}-batch"
    create_markdown_artifact(key=key, markdown=f"```\n{report}\n```", description=f"{settings.use_case} {report.day}")
    return str(report)


@flow(name=f"{NAME}_on_dask", persist_result=False)
def _score_on_dask(day: str | None, threads: int) -> Report:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")  # a chunk is large on purpose, and sent once
        return score(
            read_settings(os.environ), day, get_run_logger().info, _submit_to_dask, CHUNKS_PER_THREAD * threads
        )


def _submit_to_dask(model: Model, chunk: pa.Table, written: Written) -> WaitForChunk:
    future: PrefectFuture[Scored] = chunk_task.submit(model, chunk, written)
    return future.result


def count_threads(address: str) -> int:
    """Return how many threads the Dask cluster at `address` has. Raises SettingError if there are none."""
    from distributed import Client

    try:
        with Client(address, timeout=10) as client:  # type: ignore[no-untyped-call]
            threads = int(sum(client.nthreads().values()))
    except (OSError, ValueError) as error:
        raise SettingError(f"DASK_SCHEDULER_ADDRESS={address!r}: no Dask scheduler is responding there") from error
    if not threads:
        raise SettingError(f"DASK_SCHEDULER_ADDRESS={address!r}: the scheduler has no workers: start one")
    return threads
