"""A panel of a page as Grafana wants it: kind, title, what it says, queries, and in few words how they are shown.

Words of a page, where Grafana's own are longer or not plain:
    size      columns of 24, and rows of 30 pixels
    queries   PromQL, or {expr, legend}; a table asks for the end of the shown time alone
    limits    value: colour from there on; `base` is the colour below all (good if not said)
    words     value: what is shown in its place
    none      what is shown where there is no data; check_dashboards takes that for well, then
    columns   of a table: label, or Value #A for the first query: name to show; no others are shown
    matrix    of a table: [label of the rows, label of the columns]
    overrides how one column differs: its `name`, then words as above
All other keys are those of Grafana's fieldConfig.defaults: unit, min, max, decimals, color, mappings, …
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
SOURCE = {"type": "prometheus", "uid": "prometheus"}
COLOURS = {"good": "green", "doubtful": "orange", "bad": "red", "plain": "blue"}
LINES = {"displayMode": "list", "placement": "bottom", "calcs": []}
HEAT = {"mode": "scheme", "scheme": "Blues", "steps": 64, "exponent": 0.5, "fill": "blue", "scale": "exponential"}
OPTIONS: Mapping[str, Json] = {
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background_solid",
        "graphMode": "none",
        "textMode": "value",
        "justifyMode": "center",
    },
    "timeseries": {"legend": {**LINES, "showLegend": True}, "tooltip": {"mode": "multi", "sort": "desc"}},
    "state-timeline": {
        "showValue": "never",
        "rowHeight": 0.8,
        "mergeValues": True,
        "legend": {**LINES, "showLegend": False},
        "tooltip": {"mode": "single", "sort": "none"},
    },
    "table": {"showHeader": True, "cellHeight": "sm"},
    "heatmap": {
        "calculate": False,
        "yAxis": {"unit": "s", "axisPlacement": "left"},
        "color": {**HEAT, "reverse": False},
        "cellGap": 1,
        "legend": {"show": False},
        "tooltip": {"mode": "single", "yHistogram": False},
        "filterValues": {"le": 1e-9},
        "rowsFrame": {"layout": "auto"},
        "exemplars": {"color": "orange"},
    },
}
CUSTOM: Mapping[str, Json] = {
    "timeseries": {"lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": 60_000},
    "state-timeline": {"fillOpacity": 80, "lineWidth": 0},
}
NOT_SHOWN = {"kind", "title", "says", "size", "queries", "columns", "matrix", "overrides", "links", "stack"}


def panel(page: Mapping[str, Any]) -> Json:
    """Return the panel, without its place and its id."""
    kind = page["kind"]
    made: Json = {
        "type": kind,
        "title": page["title"],
        "description": page["says"],
        "datasource": SOURCE,
        "gridPos": {"w": page["size"][0], "h": page["size"][1]},
        "targets": [_target(kind, i, query) for i, query in enumerate(page["queries"])],
        "fieldConfig": {
            "defaults": _defaults(page),
            "overrides": [_override(column) for column in page.get("overrides", ())],
        },
        "options": OPTIONS[kind],
        "links": [_link(link) for link in page.get("links", ())],
    }
    if kind == "table":
        made["transformations"] = _columns(page)
    return made


def _target(kind: str, number: int, query: str | Mapping[str, str]) -> Json:
    asked = {"expr": query} if isinstance(query, str) else query
    now = kind == "table"
    return {
        "refId": chr(ord("A") + number),
        "datasource": SOURCE,
        "expr": asked["expr"],
        "legendFormat": asked.get("legend", "{{le}}" if kind == "heatmap" else "__auto"),
        "format": kind if kind in {"table", "heatmap"} else "time_series",
        "instant": now,
        "range": not now,
    }


def _defaults(page: Mapping[str, Any]) -> Json:
    kind, shown = page["kind"], _field({key: value for key, value in page.items() if key not in NOT_SHOWN})
    lines = kind == "timeseries"
    by_limit = "thresholds" in shown and not lines
    shown.setdefault("color", {"mode": "thresholds" if by_limit else "palette-classic"})
    custom = {**CUSTOM.get(kind, {})}
    if lines and "thresholds" in shown:
        custom["thresholdsStyle"] = {"mode": "dashed"}
    if page.get("stack"):
        custom |= {"stacking": {"group": "A", "mode": "normal"}, "fillOpacity": 25}
    return {**shown, "custom": custom} if custom else shown


def _field(words: Mapping[str, Any]) -> Json:
    """Return the words that describe a value as Grafana's own."""
    found = dict(words)
    if steps := found.pop("limits", None):
        rest = [{"color": COLOURS.get(c, c), "value": v} for v, c in steps.items() if v != "base"]
        base = {"color": COLOURS.get(steps.get("base", "good"), steps.get("base")), "value": None}
        found["thresholds"] = {"mode": "absolute", "steps": [base, *rest]}
    if said := found.pop("words", None):
        options = {str(value): {"text": text, "index": i} for i, (value, text) in enumerate(said.items())}
        found["mappings"] = [{"type": "value", "options": options}]
    if none := found.pop("none", None):
        found["noValue"] = none
    if colour := found.pop("colour", None):
        found["color"] = {"mode": "fixed", "fixedColor": COLOURS[colour]}
    if cell := found.pop("cell", None):
        found["custom.cellOptions"] = cell
    return found


def _override(column: Mapping[str, Any]) -> Json:
    words = {key: value for key, value in column.items() if key != "name"}
    if "links" in words:
        words["links"] = [_link(link) for link in words["links"]]
    properties = [{"id": key, "value": value} for key, value in _field(words).items()]
    return {"matcher": {"id": "byName", "options": column["name"]}, "properties": properties}


def _link(link: Mapping[str, str]) -> Json:
    return {**link, "targetBlank": link["url"].startswith("http")}


def _columns(page: Mapping[str, Any]) -> list[Json]:
    """One row for each set of labels, or for each value of one label; then only what is shown, in order, renamed."""
    names = dict(page["columns"])
    if matrix := page.get("matrix"):
        row, across = matrix
        fields = {"rowField": row, "columnField": across, "valueField": "Value", "emptyValue": "null"}
        whole: Json = {"id": "groupingToMatrix", "options": fields}
    else:
        whole = {"id": "merge", "options": {}}
    order = {name: i for i, name in enumerate(names)}
    return [
        whole,
        {"id": "filterFieldsByName", "options": {"include": {"names": list(names)}}},
        {"id": "organize", "options": {"excludeByName": {}, "indexByName": order, "renameByName": names}},
    ]
