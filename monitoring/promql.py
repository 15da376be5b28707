"""Queries as Grafana sends them to Prometheus: variables filled, selectors found, and whether there is data."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from typing import Any

import requests

RANGE_SECONDS, STEP_SECONDS = 900, 15
# What Grafana itself fills in; a rate's interval is four scrapes of five seconds at least.
BUILT_IN = {"__rate_interval": "1m", "__interval": "15s", "__range": f"{RANGE_SECONDS}s"}
_VARIABLE = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)")
_SELECTOR = re.compile(r'\b((?:scorehouse|evidently)[_:][\w:]+|up|ALERTS)\b(\{(?:[^}"]|"[^"]*")*\})?(?!\s*\()')
_STRING = re.compile(r'"[^"]*"')
_LABEL_VALUES = re.compile(r"label_values\((.+),\s*(\w+)\)")
_QUERY_RESULT = re.compile(r"query_result\((.+)\)")


def filled(expr: str, values: Mapping[str, str]) -> str:
    """Return `expr` with its variables' values. Raises KeyError for a variable that nobody declares."""
    known = {**BUILT_IN, **values}
    return _VARIABLE.sub(lambda found: known[found[1] or found[2]], expr)


def selectors(expr: str) -> list[str]:
    """Return the product's metrics that `expr` asks for, each with its matchers."""
    return list(dict.fromkeys(found[0] for found in _SELECTOR.finditer(expr) if not _inside_string(expr, found)))


def _inside_string(expr: str, found: re.Match[str]) -> bool:
    return any(s.start() < found.start() < s.end() for s in _STRING.finditer(expr))


class Prometheus:
    """Prometheus' HTTP interface at one moment."""

    def __init__(self, address: str):
        """Ask nothing yet."""
        self._address, self._now = address.rstrip("/"), time.time()
        self._session = requests.Session()

    def finds(self, expr: str, over_time: bool) -> bool:
        """Say whether `expr` has a number, now or in the last 15 minutes. Raises ValueError where it is no PromQL."""
        if over_time:
            asked = {"start": self._now - RANGE_SECONDS, "end": self._now, "step": STEP_SECONDS}
            found = self._ask("query_range", query=expr, **asked)["result"]
            return any(not math.isnan(float(value)) for series in found for _, value in series["values"])
        found = self._ask("query", query=expr, time=self._now)["result"]
        return any(not math.isnan(float(series["value"][1])) for series in found)

    def variable(self, definition: str, pick: str) -> str:
        """Return the first value of a variable as Grafana's Prometheus source defines it; empty where there is none."""
        if found := _LABEL_VALUES.fullmatch(definition):
            asked = {"match[]": found[1], "start": self._now - RANGE_SECONDS, "end": self._now}
            return next(iter(self._ask(f"label/{found[2]}/values", **asked)), "")
        result = _QUERY_RESULT.fullmatch(definition)
        if result is None:
            raise ValueError(f"{definition} is neither label_values(…) nor query_result(…)")
        labels = [s["metric"] for s in self._ask("query", query=result[1], time=self._now)["result"]]
        told = ["{" + ",".join(f'{name}="{value}"' for name, value in m.items()) + "}" for m in labels]
        picked = (re.search(pick.strip("/"), text) for text in told)
        return next((p[1] for p in picked if p), "")

    def _ask(self, path: str, **asked: Any) -> Any:
        answer = self._session.get(f"{self._address}/api/v1/{path}", params=asked, timeout=10)
        if answer.status_code == requests.codes.bad_request:
            raise ValueError(answer.json()["error"])
        answer.raise_for_status()
        return answer.json()["data"]
