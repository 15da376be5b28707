"""When trainings run: the schedules that a use case declares, and the one that config.json may set."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.schedules import Cron

from scorehouse.usecase import Schedule


def cron_schedule(when: str, timezone: str) -> dict[str, Any]:
    """Return the deploy() arguments for the cron line `when`; none if `when` is empty."""
    return {"schedule": Cron(when, timezone=timezone)} if when else {}


def training_schedule(schedule: Schedule, minutes: int) -> dict[str, Any]:
    """Return the deploy() arguments for trainings: the use case's own cron line, or every `minutes`."""
    return cron_schedule(schedule.train, schedule.timezone) or {"interval": timedelta(minutes=minutes)}


def reschedule(seconds: int | None) -> None:
    """Run the current deployment every `seconds` from now on. Do nothing for None, or outside a deployment."""
    deployment = runtime.deployment.id
    if seconds is None or not deployment:
        return
    wanted = IntervalSchedule(interval=timedelta(seconds=seconds))
    with get_client(sync_client=True) as client:
        for known in client.read_deployment_schedules(deployment):
            if getattr(known.schedule, "interval", None) != wanted.interval:
                client.update_deployment_schedule(deployment, known.id, schedule=wanted)
