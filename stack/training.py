"""A training by Prefect's worker, watched from outside until it ends, with what it says of itself."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import requests
from rich.console import Console

from stack.compose import Compose
from stack.environment import StackError

LONGEST_SECONDS, LOOK_SECONDS = 24 * 3600.0, 2.0
_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_RUN = re.compile(r"Run ([0-9a-f]{32})")


class Prefect:
    """Prefect's server, by its REST interface."""

    def __init__(self, env: Mapping[str, str]):
        """Open no connection yet."""
        self._address = f"http://{env.get('CLOUD_ADDRESS') or '127.0.0.1'}:4200/api"
        self._session = requests.Session()
        user, _, password = env["PREFECT_API_AUTH_STRING"].partition(":")
        self._session.auth = (user, password)

    def state(self, flow_run: str) -> tuple[str, str]:
        """Return a flow run's type of state and what is said of it. Raises requests.RequestException."""
        state = self._call("GET", f"/flow_runs/{flow_run}")["state"]
        return state["type"], state.get("message") or state["name"]

    def last_words(self, flow_run: str) -> str:
        """Return the newest line of a flow run's log. Raises requests.RequestException."""
        asked = {"logs": {"flow_run_id": {"any_": [flow_run]}}, "sort": "TIMESTAMP_DESC", "limit": 1}
        lines = self._call("POST", "/logs/filter", json=asked)
        return lines[0]["message"].partition("\n")[0] if lines else ""

    def best_run(self, flow_run: str) -> str:
        """Return the MLflow run that a flow run's own card names. Raises StackError, requests.RequestException."""
        asked = {"artifacts": {"flow_run_id": {"any_": [flow_run]}}}
        for card in self._call("POST", "/artifacts/filter", json=asked):
            if found := _RUN.search(card.get("description") or ""):
                return found[1]
        raise StackError(f"the training {flow_run} ended well but names no run: see http://127.0.0.1:4200")

    def _call(self, method: str, path: str, **more: Any) -> Any:
        answer = self._session.request(method, self._address + path, timeout=10, **more)
        answer.raise_for_status()
        return answer.json()


def apply(compose: Compose, run: bool, module: str = "model_orchestration.apply") -> str:
    """Schedule a flow in the worker's image, the training; with `run` start one now and return its flow run's id."""
    command = ("exec", "-T", "worker", "python", "-m", module)
    return compose.output(*command, *(["--run"] if run else [])).strip().splitlines()[-1]


def watch(prefect: Prefect, flow_run: str, console: Console) -> str:
    """Return the best model's run id once the training ended. Raises StackError where it did not end well."""
    ends, missed = time.monotonic() + LONGEST_SECONDS, 0
    with console.status("training: waiting for the worker") as status:
        while time.monotonic() < ends:
            try:
                state, said = prefect.state(flow_run)
                if state in _ENDED:
                    break
                status.update(f"training: {prefect.last_words(flow_run) or said}")
                missed = 0
            except requests.RequestException as error:
                missed += 1
                if missed > 30:  # a minute: long enough for a restart of the server
                    raise StackError(f"Prefect does not answer any more ({type(error).__name__})") from error
            time.sleep(LOOK_SECONDS)
        else:
            raise StackError("the training did not end within a day")
    if state != "COMPLETED":
        raise StackError(f"the training ended as {state}: {said}; its log is at http://127.0.0.1:4200")
    return prefect.best_run(flow_run)
