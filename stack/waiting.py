"""Waits until the doors answer. A run can be deployed to them from then on, whatever else is still starting."""

from __future__ import annotations

import time

import requests
from rich.console import Console

from scorehouse.services import SERVICES
from scorehouse.settings import Settings
from stack.compose import Compose
from stack.errors import StackError

PATIENCE_SECONDS = 120


def await_doors(settings: Settings, serve: Compose, console: Console) -> None:
    """Return once every door answers, with a model or without. Raises StackError with the log of one that does not."""
    ends = time.monotonic() + PATIENCE_SECONDS
    for service in (service for service in SERVICES.values() if service.door):
        address = service.address(settings) + service.ready
        with console.status(f"waiting for {service.name}"):
            while not _answers(address):
                if time.monotonic() > ends:
                    log = serve.logs([service.name])
                    raise StackError(f"{service.name} is not responding at {address}; the end of its log:\n{log}")
                time.sleep(0.5)


def _answers(address: str) -> bool:
    try:
        return "model_run_id" in requests.get(address, timeout=2).json()
    except (requests.RequestException, ValueError):
        return False  # nothing responds, or only the gateway does
