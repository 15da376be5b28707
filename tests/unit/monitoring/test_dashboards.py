"""The dashboards: valid for Grafana's types, formatted, complete, and where alerts and other pages expect them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from monitoring.evidently_service.drift.verdict import DEFAULT_RULE
from monitoring.evidently_service.site.app import DASHBOARD
from monitoring.grafana.format import DASHBOARDS, formatted, problems
from monitoring.promql import fill_variables, find_selectors
from tests.toy import ROOT

FILES = {path.stem: json.loads(path.read_text()) for path in DASHBOARDS.glob("*.json")}
GRAFANA = ROOT / "monitoring" / "grafana"
RULES = ROOT / "monitoring" / "prometheus" / "rules"
NUMBERS = ("zero", "one", "two", "three", "four", "five")
every = pytest.mark.parametrize("name", sorted(FILES))
# What Grafana 12.2.1 exports of a panel of lines whose query was edited in its query builder.
EXPORTED: dict[str, Any] = {
    "fieldConfig": {
        "defaults": {
            "color": {"mode": "palette-classic"},
            "custom": {
                "axisBorderShow": False,
                "axisCenteredZero": False,
                "axisColorMode": "text",
                "axisLabel": "",
                "axisPlacement": "auto",
                "barAlignment": 0,
                "barWidthFactor": 0.6,
                "drawStyle": "line",
                "fillOpacity": 8,
                "gradientMode": "none",
                "hideFrom": {"legend": False, "tooltip": False, "viz": False},
                "insertNulls": False,
                "lineInterpolation": "linear",
                "lineWidth": 1,
                "pointSize": 5,
                "scaleDistribution": {"type": "linear"},
                "showPoints": "never",
                "showValues": False,
                "spanNulls": False,
                "stacking": {"group": "A", "mode": "none"},
                "thresholdsStyle": {"mode": "off"},
            },
            "links": [],
            "mappings": [],
            "min": 0,
            "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": 0}]},
            "unit": "s",
        },
        "overrides": [],
    },
    "options": {
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"hideZeros": False, "mode": "single", "sort": "none"},
    },
    "pluginVersion": "12.2.1",
    "targets": [
        {
            "datasource": {"type": "prometheus", "uid": "prometheus"},
            "disableTextWrap": False,
            "editorMode": "builder",
            "exemplar": False,
            "expr": "up",
            "fullMetaSearch": False,
            "hide": False,
            "includeNullMetadata": True,
            "instant": False,
            "interval": "",
            "intervalFactor": 1,
            "legendFormat": "__auto",
            "range": True,
            "refId": "A",
            "useBackend": False,
        }
    ],
    "type": "timeseries",
}
BUILT_IN = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def first(dashboard: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(panel for panel in dashboard["panels"] if panel["type"] == kind)


def filled(dashboard: dict[str, Any], expr: str) -> str:
    return fill_variables(expr, {variable["name"]: "x" for variable in dashboard["templating"]["list"]})


@every
def test_every_dashboard_is_valid_for_grafanas_types_and_formatted(name: str) -> None:
    assert problems(FILES[name]) == []
    assert (DASHBOARDS / f"{name}.json").read_text() == formatted(FILES[name]), "run `make dashboards`"


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda d: d.update(titel="x"), "titel: Grafana's types have no such field"),
        (lambda d: d.update(title=5), "title: 5 is not allowed"),
        (lambda d: d.pop("templating") and d.update(templating=[]), "templating: Grafana's types change [] to {}"),
        (lambda d: first(d, "stat").update(type="stats"), "there is no panel type 'stats'"),
        (lambda d: first(d, "stat")["options"].update(colourMode="value"), "options.colourMode: Grafana's types have"),
        (lambda d: first(d, "stat")["options"].update(colorMode="bright"), "options.color_mode: 'bright' is not"),
        (lambda d: first(d, "stat")["links"].append({"adress": "/d/x"}), "links[1].adress: Grafana's types have"),
        (lambda d: first(d, "stat")["targets"][0].update(exprr="up"), "targets[0].exprr: Grafana's types have"),
        (lambda d: first(d, "stat")["targets"][0].update(format="csv"), "targets[0].format: 'csv' is not allowed"),
        (lambda d: first(d, "table")["transformations"][0].update(on=1), "transformations[0].on: Grafana's types"),
        (lambda d: first(d, "stat")["fieldConfig"]["defaults"].update(decimals="1"), "decimals: '1' is not allowed"),
        (
            lambda d: first(d, "timeseries")["fieldConfig"]["defaults"]["custom"].update(lineWith=1),
            "custom.lineWith: Grafana's types have no such field",
        ),
        (
            lambda d: first(d, "stat")["fieldConfig"]["defaults"].update(mappings=[{"type": "values"}]),
            "Grafana's types do not accept it (KeyError: 'values')",
        ),
        (lambda d: d["templating"]["list"][0].update(regexp="x"), "templating.list[0].regexp: Grafana's types have"),
        (lambda d: d["annotations"]["list"][0].update(color="x"), "annotations.list[0].color: Grafana's types have"),
    ],
)
def test_a_field_that_grafana_does_not_know_or_allow_is_named(
    spoil: Callable[[dict[str, Any]], object], expected: str
) -> None:
    dashboard = deepcopy(FILES["front"])
    spoil(dashboard)
    (problem,) = problems(dashboard)
    assert expected in problem


def test_an_export_from_grafana_is_valid_and_loses_only_what_is_local() -> None:
    exported = deepcopy(FILES["drift"])
    exported |= {"id": 7, "version": 3, "fiscalYearStartMonth": 0, "preload": False, "timepicker": {}}
    exported["annotations"]["list"].insert(0, BUILT_IN)
    exported["templating"]["list"][0]["current"] = {"text": "churn", "value": "churn"}
    first(exported, "timeseries").update(EXPORTED)
    cells = {"align": "auto", "cellOptions": {"type": "auto"}, "footer": {"reducers": []}, "inspect": False}
    first(exported, "table")["fieldConfig"]["defaults"]["custom"] = cells
    assert problems(exported) == []
    kept = json.loads(formatted(exported))
    assert kept.keys() == exported.keys() - {"id", "version"}
    assert kept["annotations"] == FILES["drift"]["annotations"]
    assert kept["templating"] == FILES["drift"]["templating"]
    assert first(kept, "timeseries") == first(exported, "timeseries")


@every
def test_links_lead_to_the_host_that_is_asked_for(name: str) -> None:
    (host,) = (
        v for v in json.loads(formatted(FILES[name], "scorer.example"))["templating"]["list"] if v["name"] == "host"
    )
    assert (host["query"], host["current"]["value"]) == ("scorer.example", "scorer.example")


def test_the_drift_dashboard_is_where_analysts_have_it() -> None:
    assert (FILES["drift"]["uid"], FILES["drift"]["title"]) == ("U54hsxv7k", "Evidently Data Drift Dashboard")
    assert FILES["drift"]["uid"] == DASHBOARD
    shown = json.dumps(FILES["drift"]["panels"])
    for metric in ("dataset_drift", "share_drifted_features", "n_drifted_features", "p_value", "drift_score"):
        assert f"evidently:data_drift:{metric}{{" in shown


def test_there_is_a_dashboard_for_each_question_and_each_has_its_own_address() -> None:
    assert set(FILES) == {"front", "drift", "scoring", "streams", "training"}
    assert len({dashboard["uid"] for dashboard in FILES.values()}) == len(FILES)


@every
def test_panels_have_ids_of_their_own_and_do_not_overlap(name: str) -> None:
    placed = [(panel["id"], panel["gridPos"]) for panel in FILES[name]["panels"]]
    assert len({id_ for id_, _ in placed}) == len(placed)
    cells = [
        (x, y) for _, at in placed for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells), "two panels overlap"
    assert max(x for x, _ in cells) == 23


@every
def test_every_panel_is_described_and_asks_the_one_data_source(name: str) -> None:
    for panel in panels(FILES[name]):
        assert panel["title"] and len(panel["description"]) > 10, panel["title"]
        assert panel["targets"], panel["title"]
        for source in (panel, *panel["targets"]):
            assert source["datasource"] == {"type": "prometheus", "uid": "prometheus"}


@every
def test_every_query_is_promql(name: str) -> None:
    dashboard = FILES[name]
    for panel in panels(dashboard):
        for target in panel["targets"]:
            assert find_selectors(filled(dashboard, target["expr"])), panel["title"]


@every
def test_every_variable_that_a_query_or_a_link_names_is_declared(name: str) -> None:
    dashboard = FILES[name]
    known: dict[str, str] = {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            fill_variables(variable["definition"], known)  # only by those before it
        known[variable["name"]] = "x"
    for panel in panels(dashboard):
        for target in panel["targets"]:
            fill_variables(target["expr"], known)
        for url in re.findall(r'"url": "([^"]+)"', json.dumps(panel)):
            assert set(re.findall(r"\$\{(\w+)\}", url)) <= known.keys(), url
    assert {"use_case", "dataset_name"} & known.keys()


@every
def test_thresholds_are_colours_in_order(name: str) -> None:
    for panel in panels(FILES[name]):
        steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
        values = [step["value"] for step in steps[1:]]  # the first is the colour below all others
        assert values == sorted(values), panel["title"]
        assert panel["type"] != "stat" or len(steps) > 1, f"{panel['title']}: a number without a judgement"


@every
def test_deployments_are_marked_on_every_dashboard(name: str) -> None:
    (note,) = FILES[name]["annotations"]["list"]
    assert set(find_selectors(note["target"]["expr"])) == {"scorehouse_model_info"}
    assert note["enable"]


def alerts() -> Iterator[dict[str, Any]]:
    for path in RULES.glob("*.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule for rule in group["rules"] if "alert" in rule)


@pytest.mark.parametrize("alert", list(alerts()), ids=lambda alert: alert["alert"])
def test_every_alert_leads_to_a_panel_that_shows_what_it_asks_for(alert: dict[str, Any]) -> None:
    address = alert["annotations"]["dashboard"]
    match = re.search(r"/d/([\w-]+)\?viewPanel=(\d+)", address)
    assert match, address
    (dashboard,) = (d for d in FILES.values() if d["uid"] == match[1])
    (panel,) = (p for p in panels(dashboard) if p["id"] == int(match[2]))
    queries = [filled(dashboard, target["expr"]) for target in panel["targets"]]
    shown = {s.partition("{")[0] for query in queries for s in find_selectors(query)}
    asked = {s.partition("{")[0] for s in find_selectors(alert["expr"])}
    assert shown & asked, f"{panel['title']} shows {shown}, the alert asks for {asked}"


def test_texts_that_repeat_the_drift_rule_agree_with_it() -> None:
    texts = {
        "dashboards": " ".join(panel["description"] for d in FILES.values() for panel in panels(d)),
        "alerts": " ".join(alert["annotations"]["description"] for alert in alerts()),
        "tests of alerts": re.sub(r"\s+", " ", (RULES.parent / "tests" / "alerts.yml").read_text()),
    }
    said = {where: set(re.findall(r"(\w+) consecutive evaluations", text)) for where, text in texts.items()}
    assert said == {where: {NUMBERS[DEFAULT_RULE.confirmations]} for where in texts}
    drift = FILES["drift"]
    assert f"at least {DEFAULT_RULE.window}," in drift["description"]
    (records,) = (p for p in panels(drift) if "scorehouse_window_records{" in p["targets"][0]["expr"])
    assert f"fewer than {DEFAULT_RULE.minimum_window} records" in records["description"]
    assert records["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"] == DEFAULT_RULE.minimum_window


def test_quality_panels_show_every_figure_by_its_label() -> None:
    """So that a new figure needs no edit of the drift and training dashboards."""
    for name in ("drift", "training"):
        for panel in panels(FILES[name]):
            for target in panel["targets"]:
                named = re.findall(r'\bfigure=~?"([^"]*)"', target["expr"])
                assert set(named) <= {"$figure"}, panel["title"]


def test_grafana_reads_the_dashboards_and_has_the_front_page_as_its_home() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose-serve.yml").read_text())["services"]["grafana"]
    mounted = {v["target"]: v["source"] for v in compose["volumes"] if isinstance(v, dict)}
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/scorehouse.yml").read_text())["providers"]
    assert Path(mounted[provider["options"]["path"]]) == DASHBOARDS.relative_to(ROOT)
    home = Path(compose["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert FILES[home.stem]["uid"] == "scorehouse-front"
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert source["uid"] == "prometheus"
    assert source["url"].removeprefix("$") in compose["environment"]
    assert compose["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "${GRAFANA_ANONYMOUS:-false}"
