"""When trainings run: the schedules that a use case declares, and the one that config.json may set."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateName,
)
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.schedules import Cron
from prefect.states import Cancelled

from scorehouse.usecase import Schedule

WAITING = ["AwaitingConcurrencySlot", "Late"]  # names of Prefect's states


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


def cancel_waiting() -> int:
    """Cancel the scheduled runs of the current deployment that wait for the one that runs now; return how many.

    A training reads its table when it starts, so it does what those would have done. Runs that a person or the drift
    monitor started stay. Outside a deployment, do nothing.
    """
    deployment = runtime.deployment.id
    if not deployment:
        return 0
    wanted = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[UUID(deployment)]),
        state=FlowRunFilterState(name=FlowRunFilterStateName(any_=WAITING)),
    )
    with get_client(sync_client=True) as client:
        waiting = [run for run in client.read_flow_runs(flow_run_filter=wanted) if run.auto_scheduled]
        for run in waiting:
            reason = "a training that started later replaces this one"
            client.set_flow_run_state(run.id, Cancelled(message=reason), force=True)
    return len(waiting)
