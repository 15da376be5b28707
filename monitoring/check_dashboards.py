"""Asks Prometheus every query of the dashboards and rules, and lists those that find no data."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import requests
import yaml  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table

from monitoring.promql import Prometheus, fill_variables, find_selectors

FOLDER = Path(__file__).parent
RULES = FOLDER / "prometheus" / "rules"
DASHBOARDS = FOLDER / "grafana" / "dashboards"
# Parts of selectors that find nothing while all is well, each with the reason.
MAY_BE_EMPTY = {
    "ALERTS": "no alert fires",
    'status=~"5..': "no server error happened",
    'status=~"4..': "no client error happened",
    "scorehouse_drift_since_seconds": "set only while a column drifts",
    'figure="mae"': "set only for amounts",
    'figure="auc"': "set only for two classes",
    "scorehouse_stream_retries_total": "set from the first retry on",
    "scorehouse_stream_records_unplaced_total": "set from the first lost record on",
    "scorehouse_unsent_share": "set only for fields that some record left out",
    'source="outcomes"': "set from the first outcome on",
    "scorehouse_outcomes_total": "set from the first outcome on",
    'use_case="flights"': "set only for flights",
    "scorehouse_shadow_": "set only while SHADOW_RUN_ID is set",
}


Verdict = Literal["data", "empty", "fault"]


@dataclass(frozen=True, slots=True)
class Query:
    """A query and the place that asks it; `may_be_empty`: finding nothing is no fault (an alert does not fire)."""

    where: str
    expr: str
    over_time: bool
    may_be_empty: bool = False


def rule_queries(folder: Path = RULES) -> Iterator[Query]:
    """Yield the expression of every rule, and the series that each recording rule records."""
    for path in sorted(folder.glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                name = rule.get("alert") or rule["record"]
                yield Query(f"{path.name}: {name}", rule["expr"], over_time=False, may_be_empty="alert" in rule)
                if "record" in rule:
                    yield Query(f"{path.name}: {name}, recorded", name, over_time=False)


def dashboard_queries(dashboard: dict[str, Any], values: dict[str, str]) -> Iterator[Query]:
    """Yield the queries of a dashboard's annotations and panels, their variables replaced by `values`."""
    title = dashboard["title"]
    for note in dashboard["annotations"]["list"]:
        expr = fill_variables(note["target"]["expr"], values)
        yield Query(f"{title}: {note['name']}", expr, over_time=True, may_be_empty=True)
    for panel in dashboard["panels"]:
        says_none = "noValue" in panel.get("fieldConfig", {}).get("defaults", {})
        for target in panel.get("targets", ()):
            where = f"{title}: {panel['title']} {target['refId']}"
            yield Query(where, fill_variables(target["expr"], values), target["range"], says_none)


def choose_values(dashboard: dict[str, Any], prometheus: Prometheus) -> dict[str, str]:
    """Return the value that Grafana would choose for each variable; empty where Prometheus offers none."""
    values: dict[str, str] = {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            first = prometheus.variable(fill_variables(variable["definition"], values), variable["regex"])
            values[variable["name"]] = ".*" if variable["includeAll"] else first
        else:
            values[variable["name"]] = variable["query"]
    return values


def judge(query: Query, prometheus: Prometheus) -> tuple[Verdict, str]:
    """Return whether a query finds data, is rightly empty, or is at fault; and the reason of the latter two."""
    try:
        if prometheus.finds(query.expr, query.over_time):
            return "data", ""
        missing = [s for s in find_selectors(query.expr) if not prometheus.finds(s, query.over_time)]
    except ValueError as error:
        return "fault", str(error)
    reasons = {s: next((why for part, why in MAY_BE_EMPTY.items() if part in s), "") for s in missing}
    if unexcused := [s for s, why in reasons.items() if not why]:
        return "fault", f"no data for {', '.join(unexcused)}"
    if reasons:
        return "empty", "; ".join(dict.fromkeys(reasons.values()))
    if query.may_be_empty:
        return "empty", "its metrics have data"
    return "fault", "no data, although every metric in it has data"


def check(prometheus: Prometheus) -> list[tuple[Query, Verdict, str]]:
    """Return every query with its verdict and the reason."""
    judged: list[tuple[Query, Verdict, str]] = []
    queries = list(rule_queries())
    for path in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(path.read_text())
        values = choose_values(dashboard, prometheus)
        for name in (n for n, value in values.items() if not value):
            unchosen = Query(f"{dashboard['title']}: ${name}", "", over_time=False)
            judged.append((unchosen, "fault", "the variable has no value to choose"))
        queries += dashboard_queries(dashboard, values)
    return judged + [(query, *judge(query, prometheus)) for query in queries]


def show(console: Console, judged: list[tuple[Query, Verdict, str]], everything: bool) -> None:
    """Print the queries at fault and the counts; with `everything` also the queries that are expected to be empty."""
    table = Table("where", "reason", "query")
    for query, verdict, reason in judged:
        if verdict == "fault" or (everything and verdict == "empty"):
            table.add_row(query.where, reason, query.expr)
    if table.row_count:
        console.print(table, highlight=False, markup=False)
    count = Counter(verdict for _, verdict, _ in judged)
    summary = f"{count['data']} find data, {count['empty']} are expected to be empty, {count['fault']} are faulty"
    console.print(f"{len(judged)} queries: {summary}", highlight=False)


def main() -> None:
    """Print the queries at fault; exit with 1 if there is any."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.check_dashboards", description=__doc__)
    parser.add_argument("prometheus", nargs="?", default="http://127.0.0.1:9091", help="its address")
    parser.add_argument(
        "--wait", type=float, default=0, metavar="S", help="repeat for S seconds until no fault is left"
    )
    parser.add_argument("--all", action="store_true", help="also list the queries that are expected to be empty")
    options = parser.parse_args()
    ends = time.monotonic() + options.wait
    try:
        while True:
            judged = check(Prometheus(options.prometheus))
            faulty = any(verdict == "fault" for _, verdict, _ in judged)
            if not faulty or time.monotonic() > ends:
                break
            time.sleep(1)
    except requests.RequestException as error:
        sys.exit(f"check_dashboards: Prometheus at {options.prometheus} is not responding ({type(error).__name__})")
    show(Console(), judged, options.all)
    sys.exit(1 if faulty else 0)


if __name__ == "__main__":
    main()
