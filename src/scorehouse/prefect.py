"""A client for the few calls that we make to Prefect's REST API.

Prefect's own client comes only with the whole `prefect` package, which brings its server and about a hundred other
packages. The images that train have it and use it. The monitor's image and the environment that drives Compose do not,
and five calls do not justify it there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

# Prefect answers 503, and has done nothing, while its SQLite database is locked; its own client tries again, too.
_BUSY = Retry(
    None,
    connect=0,
    read=False,
    other=0,
    status=5,
    status_forcelist=(503,),
    allowed_methods=None,
    backoff_factor=0.2,
    raise_on_status=False,
)
_FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass(frozen=True, slots=True)
class State:
    """The state of a flow run: its type, such as RUNNING or COMPLETED, and Prefect's message about it."""

    type: str
    message: str

    @property
    def is_final(self) -> bool:
        """Whether the flow run has ended, well or not."""
        return self.type in _FINAL

    @property
    def is_completed(self) -> bool:
        """Whether the flow run has ended well."""
        return self.type == "COMPLETED"


class Prefect:
    """Prefect's server at `address`, which ends in /api. `auth` is user:password, or empty.

    Every call raises requests.RequestException when Prefect cannot be reached or refuses the call. A deployment is
    named as `<flow>/<deployment>`, a flow run by its id.
    """

    def __init__(self, address: str, auth: str = "", timeout: float = 10.0):
        """Open no connection yet. `timeout` is in seconds."""
        self._address = address.rstrip("/")
        self._timeout = timeout
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=_BUSY))
        if auth:
            user, _, password = auth.partition(":")
            self._session.auth = (user, password)

    def start(self, deployment: str, tag: str, reason: str) -> str:
        """Start a flow run of `deployment` now, with a tag and a reason; return the id of the flow run."""
        body = {"tags": [tag], "state": {"type": "SCHEDULED", "message": reason}}
        return str(self._call("POST", f"/deployments/{self._deployment_id(deployment)}/create_flow_run", body)["id"])

    def was_started(self, deployment: str, tag: str, since: datetime) -> bool:
        """Say whether a flow run of `deployment` with `tag` was started after `since`."""
        body = {
            "deployments": {"id": {"any_": [self._deployment_id(deployment)]}},
            "flow_runs": {"tags": {"all_": [tag]}, "expected_start_time": {"after_": since.isoformat()}},
            "limit": 1,
        }
        return bool(self._call("POST", "/flow_runs/filter", body))

    def state(self, flow_run: str) -> State:
        """Return the state of a flow run."""
        state = self._call("GET", f"/flow_runs/{flow_run}")["state"]
        return State(state["type"], state.get("message") or state["name"])

    def last_log_line(self, flow_run: str) -> str:
        """Return the first line of a flow run's newest log message, or an empty string if it has not logged yet."""
        body = {"logs": {"flow_run_id": {"any_": [flow_run]}}, "sort": "TIMESTAMP_DESC", "limit": 1}
        messages = self._call("POST", "/logs/filter", body)
        return str(messages[0]["message"]).partition("\n")[0] if messages else ""

    def _deployment_id(self, name: str) -> str:
        return str(self._call("GET", f"/deployments/name/{name}")["id"])

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._session.request(method, self._address + path, json=body, timeout=self._timeout)
        answer.raise_for_status()
        return answer.json()
