"""When trainings run: the deployments' schedules by a use case's page, and config.json's say in it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.schedules import Cron

from scorehouse.usecase import Schedule


def cron(when: str, timezone: str) -> dict[str, Any]:
    """Return what a deployment is told to run at `when`, as cron says it; nothing where it has no time of its own."""
    return {"schedule": Cron(when, timezone=timezone)} if when else {}


def training_times(schedule: Schedule, minutes: int) -> dict[str, Any]:
    """Return what the training's deployment is told: its own time, or every `minutes`."""
    return cron(schedule.train, schedule.timezone) or {"interval": timedelta(minutes=minutes)}


def reschedule(seconds: int | None) -> None:
    """Let the deployment that runs now run every `seconds` from now on; None leaves it, as does a run without one."""
    if seconds is None or not (deployment := runtime.deployment.id):
        return
    with get_client(sync_client=True) as client:
        for known in client.read_deployment_schedules(deployment):
            wanted = IntervalSchedule(interval=timedelta(seconds=seconds))
            if getattr(known.schedule, "interval", None) != wanted.interval:
                client.update_deployment_schedule(deployment, known.id, schedule=wanted)
