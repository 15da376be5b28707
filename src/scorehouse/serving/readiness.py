"""When a door is ready, and what it says when it is not: the same for every door."""

from __future__ import annotations

from typing import Any

from scorehouse.errors import JournalError
from scorehouse.serving.deployment import Status
from scorehouse.serving.serving import NO_MODEL, Serving


def no_model(status: Status) -> str:
    """Return why a door has no model."""
    if why := status.refused or status.missing:
        return why
    return NO_MODEL if status.registry_up else f"no model is loaded yet: {status.registry}"


def problem(serving: Serving, status: Status, own: str | None = None) -> str | None:
    """Return the first thing that keeps a door from answering, or None.

    A missing model comes first, then a journal that cannot be written, then the door's `own` problem.
    """
    if serving.model is None:
        return no_model(status)
    try:
        serving.journal.check()
    except JournalError as error:
        return str(error)
    return own


def readiness(serving: Serving, status: Status, own: str | None = None) -> dict[str, Any]:
    """Return what /readyz says: the door is ready when `problem` is None."""
    model, why = serving.model, problem(serving, status, own)
    return {
        "status": "not ready" if why else "ready",
        "problem": why,
        "use_case": serving.use_case,
        "model_run_id": model.run_id if model else None,
        "refused": status.refused,
        "registry": status.registry,
    }
