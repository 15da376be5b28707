"""Queries as Grafana sends them to Prometheus: fill in variables, find selectors, ask whether there is data."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from typing import Any

import promql_parser
import requests
from promql_parser import VectorSelector

RANGE_SECONDS = 900
STEP_SECONDS = 15
# Grafana itself fills these in; the interval of a rate is at least four scrapes of five seconds.
BUILT_IN = {"__rate_interval": "1m", "__interval": "15s", "__range": f"{RANGE_SECONDS}s"}
_VARIABLE = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)")
_LABEL_VALUES = re.compile(r"label_values\((.+),\s*(\w+)\)")
_QUERY_RESULT = re.compile(r"query_result\((.+)\)")


def fill_variables(expr: str, values: Mapping[str, str]) -> str:
    """Return `expr` with its variables replaced. Raises KeyError for a variable that is not declared."""
    known = {**BUILT_IN, **values}
    return _VARIABLE.sub(lambda match: known[match[1] or match[2]], expr)


def find_selectors(expr: str) -> list[str]:
    """Return every metric that `expr` asks for, each once, with its matchers and without its offset.

    Raises ValueError if `expr` is not PromQL. Grafana's variables must be filled in before.
    """
    selectors: dict[str, None] = {}

    def collect(node: promql_parser.Expr) -> None:
        if isinstance(node, VectorSelector):
            text = node.prettify()
            selectors[text.rsplit(" offset ", 1)[0] if node.offset else text] = None

    promql_parser.walk(promql_parser.parse(expr), pre_visit=collect)
    return list(selectors)


class Prometheus:
    """Prometheus' HTTP interface at one moment."""

    def __init__(self, address: str):
        self._address = address.rstrip("/")
        self._now = time.time()
        self._session = requests.Session()

    def finds(self, expr: str, over_time: bool) -> bool:
        """Return whether `expr` has a number, now or in the last 15 minutes. Raises ValueError if it is not PromQL."""
        if over_time:
            span = {"start": self._now - RANGE_SECONDS, "end": self._now, "step": STEP_SECONDS}
            series = self._ask("query_range", query=expr, **span)["result"]
            return any(not math.isnan(float(value)) for one in series for _, value in one["values"])
        series = self._ask("query", query=expr, time=self._now)["result"]
        return any(not math.isnan(float(one["value"][1])) for one in series)

    def variable(self, definition: str, pick: str) -> str:
        """Return the first value of a variable as Grafana's Prometheus source defines it; empty if it has none."""
        if match := _LABEL_VALUES.fullmatch(definition):
            span = {"start": self._now - RANGE_SECONDS, "end": self._now}
            return next(iter(self._ask(f"label/{match[2]}/values", **{"match[]": match[1]}, **span)), "")
        match = _QUERY_RESULT.fullmatch(definition)
        if match is None:
            raise ValueError(f"{definition} is neither label_values(…) nor query_result(…)")
        series = self._ask("query", query=match[1], time=self._now)["result"]
        texts = ("{" + ",".join(f'{name}="{value}"' for name, value in one["metric"].items()) + "}" for one in series)
        picked = (re.search(pick.strip("/"), text) for text in texts)
        return next((match[1] for match in picked if match), "")

    def _ask(self, path: str, **parameters: Any) -> Any:
        answer = self._session.get(f"{self._address}/api/v1/{path}", params=parameters, timeout=10)
        if answer.status_code == requests.codes.bad_request:
            raise ValueError(answer.json()["error"])
        answer.raise_for_status()
        return answer.json()["data"]
