"""The dashboards' JSON: made of its pages, whole, and where alerts and other pages expect it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from monitoring.evidently_service.site.app import DASHBOARD
from monitoring.grafana.make import DASHBOARDS, dashboards, text
from monitoring.promql import filled, selectors
from tests.toy import ROOT

FILES = {path.stem: json.loads(path.read_text()) for path in DASHBOARDS.glob("*.json")}
GRAFANA, RULES = ROOT / "monitoring" / "grafana", ROOT / "monitoring" / "prometheus" / "rules"
every = pytest.mark.parametrize("name", sorted(FILES))


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_the_json_is_what_the_pages_make() -> None:
    assert {path.stem: path.read_text() for path in DASHBOARDS.glob("*.json")} == {
        name: text(made) for name, made in dashboards().items()
    }


def test_the_drift_dashboard_is_where_analysts_have_it() -> None:
    assert (FILES["drift"]["uid"], FILES["drift"]["title"]) == ("U54hsxv7k", "Evidently Data Drift Dashboard")
    assert FILES["drift"]["uid"] == DASHBOARD
    asked = json.dumps(FILES["drift"]["panels"])
    for metric in ("dataset_drift", "share_drifted_features", "n_drifted_features", "p_value", "drift_score"):
        assert f"evidently:data_drift:{metric}{{" in asked


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
    assert len(set(cells)) == len(cells), "two panels on one place"
    assert max(x for x, _ in cells) == 23


@every
def test_every_panel_says_what_it_shows_and_asks_the_one_data_source(name: str) -> None:
    for panel in panels(FILES[name]):
        assert panel["title"] and len(panel["description"]) > 10, panel["title"]
        assert panel["targets"], panel["title"]
        for asked in (panel, *panel["targets"]):
            assert asked["datasource"] == {"type": "prometheus", "uid": "prometheus"}


@every
def test_every_variable_that_a_query_or_a_link_names_is_declared(name: str) -> None:
    dashboard = FILES[name]
    known: dict[str, str] = {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            filled(variable["definition"], known)  # only by those before it
        known[variable["name"]] = "x"
    for panel in panels(dashboard):
        for target in panel["targets"]:
            filled(target["expr"], known)
        for url in re.findall(r'"url": "([^"]+)"', json.dumps(panel)):
            assert set(re.findall(r"\$\{(\w+)\}", url)) <= known.keys(), url
    assert {"use_case", "dataset_name"} & known.keys()


@every
def test_limits_are_colours_in_order(name: str) -> None:
    for panel in panels(FILES[name]):
        steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
        values = [step["value"] for step in steps]
        assert values == sorted(values, key=lambda v: (v is not None, v or 0)), panel["title"]
        assert panel["type"] != "stat" or len(steps) > 1, f"{panel['title']}: a number without a judgement"


@every
def test_deployments_are_marked_on_every_dashboard(name: str) -> None:
    (note,) = FILES[name]["annotations"]["list"]
    assert set(selectors(note["target"]["expr"])) == {"scorehouse_model_info"}
    assert note["enable"]


def alerts() -> Iterator[dict[str, Any]]:
    for path in RULES.glob("*.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule for rule in group["rules"] if "alert" in rule)


@pytest.mark.parametrize("alert", list(alerts()), ids=lambda alert: alert["alert"])
def test_every_alert_leads_to_a_panel_that_shows_what_it_asks_for(alert: dict[str, Any]) -> None:
    address = alert["annotations"]["dashboard"]
    found = re.search(r"/d/([\w-]+)\?viewPanel=(\d+)", address)
    assert found, address
    (dashboard,) = (d for d in FILES.values() if d["uid"] == found[1])
    (panel,) = (p for p in panels(dashboard) if p["id"] == int(found[2]))
    shown = {s.partition("{")[0] for target in panel["targets"] for s in selectors(target["expr"])}
    asked = {s.partition("{")[0] for s in selectors(alert["expr"])}
    assert shown & asked, f"{panel['title']} shows {shown}, the alert asks for {asked}"


def test_grafana_is_told_where_the_dashboards_are_and_which_is_its_home() -> None:
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
