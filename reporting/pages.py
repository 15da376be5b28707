"""The index and one report's own page, as whole files: styles and drawings are inline, nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from monitoring.evidently_service.site.histogram import bars, svg
from monitoring.evidently_service.site.page import ends, help_of
from reporting.comparison import Comparison
from reporting.evidently_report import Labels
from scorehouse.bundles.bundle import Bundle
from scorehouse.scoring.figures import FIGURES, Figure, figure_label
from scorehouse.settings import Settings
from scorehouse.usecase import UseCase, with_parts

HERE = Path(__file__).parent
# Reports look like the monitor's page.
MONITOR_STYLE = HERE.parent / "monitoring" / "evidently_service" / "site" / "static" / "style.css"
Report = Mapping[str, Any]
FigureRow = tuple[Figure, float | None, float | None]


# Paths of the other pages below the gateway's one port.
GATEWAY_PATHS = {"Monitor": "/monitor/", "Scorer": "/", "Models": "/mlflow/"}


def page_links(settings: Settings) -> dict[str, str]:
    """Return the other pages by name, at the addresses in the settings: a file does not know its reader's host.

    A reader who comes through the gateway sees GATEWAY_PATHS instead: the page's script puts them there.
    """
    cloud, serve = settings.cloud_address, settings.serve_address
    return {
        "Monitor": f"http://{serve}:{settings.monitor_port}/",
        "Scorer": f"http://{serve}:{settings.scorer_port}/",
        "Models": f"http://{cloud}:5051/",
    }


def render_index(reports: Iterable[Report], links: Mapping[str, str]) -> str:
    """Return the index of reports, in the order given, by the day on which their windows ended."""
    listed = list(reports)
    windows_with_records = {(r["since"], r["until"]) for r in listed if r["state"] != "nothing"}
    days: dict[str, list[Report]] = {}
    for report in listed:
        if report["state"] != "nothing" or (report["since"], report["until"]) not in windows_with_records:
            days.setdefault(day(report["until"]), []).append(report)
    return _templates().get_template("index.html").render(days=days, links=links, root="")


def render_report(
    report: Report,
    comparison: Comparison,
    bundle: Bundle,
    use_case: UseCase,
    labels: Labels,
    links: Mapping[str, str],
) -> str:
    """Return one report's page."""
    features = {f.name: f for f in (*use_case.derived, *with_parts(bundle.features))}
    cards = []
    for column in report["columns"]:
        name = column["column"]
        drawn = bars(comparison.reference.columns[name], comparison.window.columns[name], labels.get(name, {}))
        help_text = help_of(bundle, name, features.get(name))
        cards.append(
            {
                **column,
                "help": help_text,
                "histogram": svg(name, drawn),
                "ends": ends(drawn),
                "unsent": comparison.unsent.get(name, 0.0),
                "level": min(column["effect"] / column["minimum_effect"], 2) / 2,
            }
        )
    cards.sort(key=lambda card: (not card["drifts"], not card["ended"]))
    values = {
        "report": report,
        "title": use_case.title,
        "cards": cards,
        "figures": _figures(report["quality"], bundle),
        "challenger": _challenger(report.get("challenger"), bundle),
        "test_rows": bundle.manifest.rows.get("test", 0),
    }
    return _templates().get_template("report.html").render(**values, links=links, root="../")


def drifting_columns(report: Report) -> list[dict[str, Any]]:
    """Return the columns that drift or drifted, the strongest first."""
    named = [c for c in report.get("columns", []) if c["drifts"] or c["ended"]]
    return sorted(named, key=lambda c: (not c["drifts"], -c["effect"] / c["minimum_effect"]))


def drift_period(column: Report) -> str:
    """Return in words since when a column drifts, as far as the window shows it."""
    if column["since"] is None:
        return "over the window as a whole, but in no part of it"
    began = "since the window's beginning or before" if column["from_start"] else f"since {clock(column['since'])}"
    return f"{began}, until {clock(column['ended'])}" if column["ended"] else began


def clock(time: str) -> str:
    """Return an ISO time in UTC as people read it."""
    return f"{datetime.fromisoformat(time):%-d %b %H:%M}"


def day(time: str) -> str:
    """Return the day of an ISO time."""
    return f"{datetime.fromisoformat(time):%A, %-d %B %Y}"


def span(report: Report) -> str:
    """Return a report's window in words; its first day is left out where the window ends on the same day."""
    since, until = (datetime.fromisoformat(report[name]) for name in ("since", "until"))
    began = f"{since:%H:%M}" if since.date() == until.date() else f"{since:%-d %b %H:%M}"
    return f"{began} to {until:%H:%M} UTC"


def headline_figure(report: Report) -> tuple[str, float, int] | None:
    """Return the first figure measured on outcomes, as (label, value, records); None where no outcome is known."""
    quality = report.get("quality") or {"figures": {}, "records": 0}
    first = next(iter(quality["figures"].items()), None)  # they are kept in the order in which they are declared
    return None if first is None else (figure_label(first[0]), first[1], quality["records"])


def _figures(quality: Mapping[str, Any], bundle: Bundle) -> list[FigureRow]:
    by_outcomes, at_training = quality["figures"], quality["at_training"]
    return [
        (figure, by_outcomes.get(figure.name), at_training.get(figure.name))
        for figure in FIGURES[bundle.manifest.task]
        if figure.name in by_outcomes or figure.name in at_training
    ]


def _challenger(stored: Report | None, bundle: Bundle) -> dict[str, Any] | None:
    """What the page shows of a challenger, its figures in the order of the others; None where there is none."""
    if stored is None:
        return None
    known = (figure for figure in FIGURES[bundle.manifest.task] if figure.name in stored["figures"])
    return {**stored, "figures": [(figure, *stored["figures"][figure.name]) for figure in known]}


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        clock=clock,
        day=day,
        span=span,
        drifting_columns=drifting_columns,
        drift_period=drift_period,
        headline_figure=headline_figure,
    )
    style = MONITOR_STYLE.read_text() + (HERE / "templates" / "style.css").read_text()
    environment.globals["gateway_paths"] = GATEWAY_PATHS
    environment.globals["style"] = Markup(style)  # noqa: S704 - our own files
    return environment
