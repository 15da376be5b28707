"""Starts a flow by Prefect's worker and watches a training from outside until it ends."""

from __future__ import annotations

import time
from collections.abc import Callable

import requests
from rich.console import Console

from scorehouse.prefect import Prefect, State
from scorehouse.registry.client import Registry
from scorehouse.settings import Settings
from stack.compose import Compose
from stack.errors import StackError

LONGEST_SECONDS = 24 * 3600.0  # of a training
POLL_SECONDS = 2.0
MOST_MISSED = 30  # polls in a row without an answer: a minute, long enough for a restart of the server


def apply(compose: Compose, run: bool, module: str = "model_orchestration.apply") -> tuple[str, str]:
    """Schedule a flow (by default the training) from the worker's image. With `run`, also start it now.

    Return the line that says when the flow runs, and the id of the started flow run (empty without `run`).
    """
    command = ("exec", "-T", "worker", "python", "-m", module)
    lines = compose.output(*command, *(["--run"] if run else [])).strip().splitlines()
    return (lines[-2], lines[-1]) if run else (lines[-1], "")


def await_training(settings: Settings, flow_run: str, console: Console) -> str:
    """Return the id of the best model's run once the training `flow_run` has ended.

    The training registers its best model last, so this run is the registry's newest.

    Raises:
        StackError: the training did not end well, or not within a day, or Prefect stopped answering.
        RunNotFound, RegistryUnavailable: the registry does not know the run.
    """
    prefect = Prefect(settings.prefect_api_url, settings.prefect_api_auth_string)
    page = settings.prefect_api_url.removesuffix("/api")
    with console.status("training: waiting for the worker") as status:
        state = watch(prefect, page, flow_run, lambda line: status.update(f"training: {line}"))
    if not state.is_completed:
        raise StackError(f"the training failed (state {state.type}): {state.message}. Its log is at {page}")
    return Registry.of(settings).newest(settings.use_case)


def watch(
    prefect: Prefect,
    page: str,
    flow_run: str,
    show: Callable[[str], object],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> State:
    """Poll Prefect and `show` the flow run's newest log line until it has ended; return its final state.

    `page` is the address that messages give to the reader.

    Raises:
        StackError: Prefect stopped answering, or the flow run did not end within a day.
    """
    ends = clock() + LONGEST_SECONDS
    missed = 0
    while clock() < ends:
        try:
            state = prefect.state(flow_run)
            if state.is_final:
                return state
            show(prefect.last_log_line(flow_run) or state.message)
            missed = 0
        except requests.RequestException as error:
            missed += 1
            if missed > MOST_MISSED:
                raise StackError(
                    f"Prefect at {page} stopped responding ({type(error).__name__}): "
                    "see the log of its container, then run the command again"
                ) from error
        sleep(POLL_SECONDS)
    raise StackError(
        f"the training has not finished within 24 hours and may still be running: see {page}; "
        "when it ends, set RUN_ID to its run and run the command again"
    )
