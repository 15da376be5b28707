"""Whether the doors answer: a run can be deployed to them from then on, whoever else is still coming up."""

from __future__ import annotations

import time
from collections.abc import Mapping

import requests
from rich.console import Console

from stack.compose import Compose
from stack.environment import StackError

PORTS = (("scorer", "SCORER_PORT", 9696), ("stream", "STREAM_METRICS_PORT", 9697))
PATIENCE_SECONDS = 120


def await_doors(env: Mapping[str, str], serve: Compose, console: Console) -> None:
    """Return once both doors answer, with a model or without. Raises StackError, with the log of one that does not."""
    host = env.get("SERVE_ADDRESS") or "127.0.0.1"
    ends = time.monotonic() + PATIENCE_SECONDS
    for service, setting, port in PORTS:
        address = f"http://{host}:{env.get(setting) or port}/healthz"
        with console.status(f"waiting for {service}"):
            while not _answers(address):
                if time.monotonic() > ends:
                    raise StackError(f"{service} does not answer at {address}\n{serve.logs([service])}")
                time.sleep(0.5)


def _answers(address: str) -> bool:
    try:
        requests.get(address, timeout=2)
    except requests.RequestException:
        return False
    return True
