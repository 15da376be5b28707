"""A page as one of Grafana's dashboards: variables, links, deployments as annotations, panels in their places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from monitoring.grafana.panels import SOURCE, Json, panel

SCHEMA_VERSION, COLUMNS = 41, 24
TAG = "scorehouse"
# A run that serves now and did not a minute ago.
SERVES = "max by (use_case, model_run_id) (scorehouse_model_info == 1)"
DEPLOYED = f"{SERVES} unless max by (use_case, model_run_id) (scorehouse_model_info offset 1m == 1)"


def dashboard(page: Mapping[str, Any], host: str) -> Json:
    """Return the dashboard of `page`, whose links go to `host` unless the address says `?var-host=`."""
    return {
        "uid": page["uid"],
        "title": page["title"],
        "description": page["says"],
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "timezone": "browser",
        "time": {"from": page["since"], "to": "now"},
        "links": _links(),
        "templating": {"list": [*(_variable(**words) for words in page["variables"]), _host(host)]},
        "annotations": {"list": [_deployments()]},
        "panels": _placed(page["rows"]),
    }


def _links() -> list[Json]:
    every = {"includeVars": True, "keepTime": True, "asDropdown": False, "tooltip": "", "url": ""}
    others = {"type": "dashboards", "title": "", "tags": [TAG], "targetBlank": False, "icon": "dashboard", **every}
    pages = (("Monitor", "http://${host}:8085/"), ("Reports", "http://${host}:8888/"))
    out = {"type": "link", "tags": [], "targetBlank": True, "icon": "external link", **every, "includeVars": False}
    return [others, *({**out, "title": title, "url": url, "keepTime": False} for title, url in pages)]


def _variable(name: str, label: str, asks: str, pick: str = "", every: bool = False) -> Json:
    """Return a variable of what Prometheus knows; `pick`: the part of a result that counts; `every` offers All."""
    editor = 3 if asks.startswith("query_result(") else 1  # Grafana's numbers of a query's result, and of label values
    chosen = {"current": {"text": "All", "value": "$__all"}, "allValue": ".*"} if every else {"current": {}}
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "definition": asks,
        "query": {"qryType": editor, "query": asks, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "regex": pick,
        "refresh": 2,  # whenever the time range changes
        "sort": 0 if pick else 1,  # as asked, or by the alphabet
        "hide": 0,
        "multi": False,
        "includeAll": every,
        "options": [],
        **chosen,
    }


def _host(host: str) -> Json:
    chosen = {"text": host, "value": host}
    return {"type": "textbox", "name": "host", "label": "host", "query": host, "current": chosen, "hide": 2}


def _deployments() -> Json:
    return {
        "name": "Deployments",
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "blue",
        "target": {"expr": DEPLOYED, "interval": "60s", "refId": "Deployments"},
        "titleFormat": "{{use_case}} is served by run {{model_run_id}}",
        "textFormat": "",
        "tagKeys": "use_case",
        "useValueForTime": False,
    }


def _placed(rows: Iterable[Mapping[str, Any]]) -> list[Json]:
    """Return the panels, one beside the other while they fit; ids are their numbers in this order."""
    found: list[Json] = []
    y = 0
    for row in rows:
        if row["title"]:
            place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
            found.append({"type": "row", "title": row["title"], "collapsed": False, "panels": [], "gridPos": place})
            y += 1
        x = height = 0
        for made in map(panel, row["panels"]):
            size = made["gridPos"]
            if x + size["w"] > COLUMNS:
                x, y, height = 0, y + height, 0
            found.append({**made, "gridPos": {"x": x, "y": y, **size}})
            x, height = x + size["w"], max(height, size["h"])
        y += height
    return [{"id": number, **each} for number, each in enumerate(found, 1)]
