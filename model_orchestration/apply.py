"""Schedules training and nightly batch for Prefect's worker: `python -m model_orchestration.apply [--run]`.

With `--run` it also starts one training now. The last line that it prints is then the id of that flow run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments import run_deployment

from model_orchestration.schedule import cron_schedule, training_schedule
from scorehouse.environment import settings_or_exit
from scorehouse.errors import UseCaseError
from scorehouse.pages.loading import load_use_case
from scorehouse.usecase import UseCase

ROOT = Path(__file__).parents[1]
TRAINING = "model_tuning_and_uploading"
BATCH = "score_batch"
POOL = "scorehouse"
ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)


def apply(use_case: UseCase, minutes: int) -> list[str]:
    """Create or change both deployments. Return one line for each: its name and when it runs.

    A use case without a schedule of its own is trained every `minutes`, and its batch is scored only on demand.
    Nothing is built or pulled: the worker runs the code in its own image, which has the same path as this file.

    One training runs at a time, however many workers there are. Another one waits (ENQUEUE): CANCEL_NEW would lose the
    training that a person or the drift monitor asked for. So that none pile up, a training that starts cancels the
    scheduled ones that waited (`cancel_waiting`).
    """
    when = use_case.schedule
    one_at_a_time = {"concurrency_limit": ONE_AT_A_TIME}
    _deploy("model_orchestration/flows.py", TRAINING, training_schedule(when, minutes) | one_at_a_time)
    _deploy("model_orchestration/batch/flow.py", BATCH, cron_schedule(when.score, when.timezone))
    training_time = f"on cron schedule {when.train!r} ({when.timezone})" if when.train else f"every {minutes} minutes"
    batch_time = f"on cron schedule {when.score!r} ({when.timezone})" if when.score else "on demand"
    return [
        f"{BATCH}/{BATCH} runs {batch_time} in pool {POOL}",
        f"{TRAINING}/{TRAINING} runs {training_time} in pool {POOL}",
    ]


def _deploy(file: str, name: str, more: dict[str, Any]) -> None:
    source: Any = flow.from_source(source=str(ROOT), entrypoint=f"{file}:{name}")
    source.deploy(name=name, work_pool_name=POOL, build=False, push=False, print_next_steps=False, **more)


def main() -> None:
    """Schedule both flows, and with --run start one training."""
    settings = settings_or_exit()
    try:
        use_case = load_use_case(settings.use_case)
    except UseCaseError as error:
        sys.exit(f"schedules: {error}")
    lines = apply(use_case, settings.training_interval_minutes)
    sys.stdout.write("\n".join(lines) + "\n")
    if "--run" in sys.argv[1:]:
        flow_run: Any = run_deployment(f"{TRAINING}/{TRAINING}", timeout=0, as_subflow=False)
        sys.stdout.write(f"{UUID(str(flow_run.id))}\n")


if __name__ == "__main__":
    main()
