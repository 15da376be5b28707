"""Asks Prometheus every query of the dashboards and rules, and tells which find nothing: `… PROMETHEUS [--wait S]`."""

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

from monitoring.promql import Prometheus, filled, selectors

FOLDER = Path(__file__).parent
RULES, DASHBOARDS = FOLDER / "prometheus" / "rules", FOLDER / "grafana" / "dashboards"
# Selectors that find nothing while all is well, and why.
MAY_BE_EMPTY = {
    "ALERTS": "nothing fires",
    'status=~"5..': "no server error happened",
    'status=~"4..': "no client erred",
    "scorehouse_drift_since_seconds": "set only while a column drifts",
    'figure="mae"': "amounts only",
    'figure="auc"': "two classes only",
    "scorehouse_stream_retries_total": "counted from the first on",
    "scorehouse_stream_records_unplaced_total": "counted from the first on",
    "scorehouse_unsent_share": "set only for fields that some record left out",
    'source="outcomes"': "set from the first outcome on",
    "scorehouse_outcomes_total": "counted from the first on",
    'use_case="flights"': "flights only",
    "scorehouse_shadow_": "set only while SHADOW_RUN_ID names a challenger",
}


Verdict = Literal["data", "none", "fault"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, where it stands, and whether finding nothing says something (an alert that is not raised)."""

    where: str
    expr: str
    over_time: bool
    quiet: bool = False


def asked_by_rules(folder: Path = RULES) -> Iterator[Asked]:
    """Yield the expression of every rule, and what each recording rule recorded."""
    for path in sorted(folder.glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                name = rule.get("alert") or rule["record"]
                yield Asked(f"{path.name}: {name}", rule["expr"], over_time=False, quiet="alert" in rule)
                if "record" in rule:
                    yield Asked(f"{path.name}: {name}, recorded", name, over_time=False)


def asked_by_dashboard(dashboard: dict[str, Any], values: dict[str, str]) -> Iterator[Asked]:
    """Yield the queries of a dashboard's panels and annotations, their variables filled with `values`."""
    title = dashboard["title"]
    for note in dashboard["annotations"]["list"]:
        yield Asked(f"{title}: {note['name']}", filled(note["target"]["expr"], values), over_time=True, quiet=True)
    for panel in dashboard["panels"]:
        quiet = "noValue" in panel.get("fieldConfig", {}).get("defaults", {})
        for target in panel.get("targets", ()):
            where = f"{title}: {panel['title']} {target['refId']}"
            yield Asked(where, filled(target["expr"], values), target["range"], quiet)


def variables(dashboard: dict[str, Any], prometheus: Prometheus) -> dict[str, str]:
    """Return the value that Grafana would choose for each variable; empty where it would find none."""
    values: dict[str, str] = {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found = prometheus.variable(filled(variable["definition"], values), variable["regex"])
            values[variable["name"]] = ".*" if variable["includeAll"] else found
        else:
            values[variable["name"]] = variable["query"]
    return values


def judge(asked: Asked, prometheus: Prometheus) -> tuple[Verdict, str]:
    """Return whether a query finds data, rightly finds none, or is at fault; and the reason of the latter two."""
    try:
        if prometheus.finds(asked.expr, asked.over_time):
            return "data", ""
        missing = [s for s in selectors(asked.expr) if not prometheus.finds(s, asked.over_time)]
    except ValueError as error:
        return "fault", str(error)
    reasons = {s: next((why for part, why in MAY_BE_EMPTY.items() if part in s), "") for s in missing}
    if unexcused := [s for s, why in reasons.items() if not why]:
        return "fault", f"no data for {', '.join(unexcused)}"
    if reasons:
        return "none", "; ".join(dict.fromkeys(reasons.values()))
    return (
        ("none", "its metrics are there") if asked.quiet else ("fault", "no data, though every metric in it has some")
    )


def check(prometheus: Prometheus) -> list[tuple[Asked, Verdict, str]]:
    """Return every query with what `judge` says of it."""
    judged: list[tuple[Asked, Verdict, str]] = []
    asked = list(asked_by_rules())
    for path in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(path.read_text())
        values = variables(dashboard, prometheus)
        for name in (n for n, value in values.items() if not value):
            nothing = Asked(f"{dashboard['title']}: ${name}", "", over_time=False)
            judged.append((nothing, "fault", "the variable has no value to choose"))
        asked += asked_by_dashboard(dashboard, values)
    return judged + [(a, *judge(a, prometheus)) for a in asked]


def show(console: Console, judged: list[tuple[Asked, Verdict, str]], everything: bool) -> None:
    """Print the queries at fault, with `everything` those that rightly find nothing too, and how many there are."""
    table = Table("where", "what is said of it", "query")
    for asked, verdict, reason in judged:
        if verdict == "fault" or (everything and verdict == "none"):
            table.add_row(asked.where, reason, asked.expr)
    if table.row_count:
        console.print(table, highlight=False, markup=False)
    count = Counter(verdict for _, verdict, _ in judged)
    said = f"{count['data']} find data, {count['none']} rightly find none, {count['fault']} are at fault"
    console.print(f"{len(judged)} queries: {said}", highlight=False)


def main() -> None:
    """Print what is at fault; status 1 if anything is."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.check_dashboards", description=__doc__)
    parser.add_argument("prometheus", nargs="?", default="http://127.0.0.1:9091", help="its address")
    parser.add_argument("--wait", type=float, default=0, metavar="S", help="ask again for so many seconds")
    parser.add_argument("--all", action="store_true", help="list what rightly finds nothing, with the reason")
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
        sys.exit(f"check_dashboards: Prometheus at {options.prometheus} does not answer ({type(error).__name__})")
    show(Console(), judged, options.all)
    sys.exit(1 if faulty else 0)


if __name__ == "__main__":
    main()
