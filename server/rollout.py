"""Waits until every door of a deployment serves the run that was deployed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import requests
from prometheus_client.parser import text_string_to_metric_families

from scorehouse.errors import ScorehouseError
from scorehouse.services import SERVICES
from scorehouse.settings import Settings

PATIENCE_SECONDS, POLL_SECONDS = 30.0, 0.2
# A door polls every two seconds, so that its first refusal after the change may be about what it asked before it.
SETTLED_SECONDS = 4.0


class NotFollowed(ScorehouseError):
    """A door did not serve the deployed run in time."""


class Refused(ScorehouseError):
    """A door refused the deployed run."""


def addresses(settings: Settings) -> list[str]:
    """Return the addresses of the doors: those of DOORS, or else of every service that follows a deployment."""
    if settings.doors:
        return [door.strip().rstrip("/") for door in settings.doors.split(",") if door.strip()]
    return [service.address(settings) for service in SERVICES.values() if service.follows]


def ask(door: str, headers: Mapping[str, str]) -> dict[str, str | None]:
    """Return `model_run_id` and `refused` of the door at address `door`; empty if it does not respond.

    `headers` carry the secret of the services, where there is one.
    """
    try:
        ready = requests.get(f"{door}/readyz", headers=headers, timeout=2).json()
        if "model_run_id" not in ready:
            return {}  # the gateway answered, because this door does not respond
        about = {name: ready.get(name) for name in ("model_run_id", "refused")}
        if about["model_run_id"] and _workers(door, headers) - {about["model_run_id"]}:
            about["model_run_id"] = None  # another process of this door has not followed yet
    except (requests.RequestException, ValueError, AttributeError):
        return {}
    return about


def _workers(door: str, headers: Mapping[str, str]) -> set[str]:
    """The runs that the processes of the door serve: its metrics are those of all of them."""
    text = requests.get(f"{door}/metrics", headers=headers, timeout=2).text
    families = (f for f in text_string_to_metric_families(text) if f.name == "scorehouse_model_info")
    return {s.labels["model_run_id"] for family in families for s in family.samples if s.value == 1}


def wait_for(
    run_id: str,
    doors: Sequence[str],
    before: Mapping[str, str | None],
    headers: Mapping[str, str],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Return the seconds until every door served `run_id`. `before` holds what each door refused before the change,
    and `headers` carry the secret of the services.

    Raises:
        Refused: a door has refused the run for SETTLED_SECONDS.
        NotFollowed: after PATIENCE_SECONDS a door serves another run, or does not respond.
    """
    began = clock()
    refused: dict[tuple[str, str], float] = {}  # door and reason -> since when
    while True:
        answers = {door: ask(door, headers) for door in doors}
        late = {door: about for door, about in answers.items() if about.get("model_run_id") != run_id}
        if not late:
            return clock() - began
        for door, about in late.items():
            if (why := about.get("refused")) and why != before.get(door):
                since = refused.setdefault((door, why), clock())
                if clock() - since >= SETTLED_SECONDS:
                    raise Refused(f"{door} rejected the run: {why}")
        if clock() - began > PATIENCE_SECONDS:
            raise NotFollowed("; ".join(_late(door, about) for door, about in late.items()))
        sleep(POLL_SECONDS)


def _late(door: str, about: Mapping[str, str | None]) -> str:
    if not about:
        return f"{door} is not responding"
    return (
        f"{door} is still serving run {about['model_run_id']}"
        if about["model_run_id"]
        else f"{door} is not serving a run yet"
    )
