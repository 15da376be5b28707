"""Schedules training and nightly batch for Prefect's worker, from the code beside it: `model_orchestration.apply`.

With `--run` it also starts one training now; the last line it prints is then that flow run's id.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.deployments import run_deployment

from model_orchestration.schedule import cron, training_times
from scorehouse.environment import settings_or_exit
from scorehouse.usecase import UseCase, load_use_case

ROOT = Path(__file__).parents[1]
NAME, BATCH = "model_tuning_and_uploading", "score_batch"
POOL = "scorehouse"


def apply(use_case: UseCase, minutes: int) -> list[str]:
    """Make or change both deployments; return, a line each, their names and when they run.

    A use case that declares no time of its own is trained every `minutes`, and scored as a batch when it is asked for.
    Nothing is built or pulled: the worker runs the code that lies in its own image, at the same path as this.
    """
    when = use_case.schedule
    _deploy("model_orchestration/flows.py", NAME, training_times(when, minutes))
    _deploy("model_orchestration/batch/flow.py", BATCH, cron(when.score, when.timezone))
    trained = f"at {when.train!r}, {when.timezone}" if when.train else f"every {minutes} minutes"
    scored = f"at {when.score!r}, {when.timezone}" if when.score else "when it is asked for"
    return [f"{BATCH}/{BATCH} runs {scored} in pool {POOL}", f"{NAME}/{NAME} runs {trained} in pool {POOL}"]


def _deploy(file: str, name: str, schedule: dict[str, Any]) -> None:
    source: Any = flow.from_source(source=str(ROOT), entrypoint=f"{file}:{name}")
    source.deploy(name=name, work_pool_name=POOL, build=False, push=False, print_next_steps=False, **schedule)


def main() -> None:
    """Schedule, and with --run start one training."""
    settings = settings_or_exit()
    told = apply(load_use_case(settings.use_case), settings.training_interval_minutes)
    sys.stdout.write("\n".join(told) + "\n")
    if "--run" in sys.argv[1:]:
        started: Any = run_deployment(f"{NAME}/{NAME}", timeout=0, as_subflow=False)
        sys.stdout.write(f"{UUID(str(started.id))}\n")


if __name__ == "__main__":
    main()
