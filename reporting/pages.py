"""The index and one report's own page, as whole files: style and drawings inline, nothing fetched from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from monitoring.evidently_service.site.histogram import bars, svg
from monitoring.evidently_service.site.page import SHOWN_FIGURES, ends, words
from reporting.compared import Comparison
from reporting.evidently_report import Labels
from scorehouse.bundles.bundle import Bundle
from scorehouse.settings import Settings
from scorehouse.usecase import UseCase

HERE = Path(__file__).parent
MONITOR_STYLE = (
    HERE.parent / "monitoring" / "evidently_service" / "site" / "static" / "style.css"
)  # one house, one look
Report = Mapping[str, Any]


def links(settings: Settings) -> dict[str, str]:
    """Return the other pages by name, as the settings address them: these files know no reader's host."""
    cloud, serve = settings.cloud_address, settings.serve_address
    return {
        "Monitor": f"http://{serve}:{settings.monitor_port}/",
        "Scorer": f"http://{serve}:{settings.scorer_port}/",
        "Models": f"http://{cloud}:5051/",
    }


def index(reports: Iterable[Report], other_pages: Mapping[str, str]) -> str:
    """Return the index of reports, in the order given, by the day on which their windows ended."""
    shown = list(reports)
    told = {(r["since"], r["until"]) for r in shown if r["state"] != "nothing"}
    days: dict[str, list[Report]] = {}
    for report in shown:
        if report["state"] != "nothing" or (report["since"], report["until"]) not in told:
            days.setdefault(day(report["until"]), []).append(report)
    return _templates().get_template("index.html").render(days=days, links=other_pages, root="")


def report(
    made: Report,
    compared: Comparison,
    bundle: Bundle,
    use_case: UseCase,
    labels: Labels,
    other_pages: Mapping[str, str],
) -> str:
    """Return one report's page."""
    features = {f.name: f for f in (*use_case.derived, *bundle.features)}
    cards = []
    for column in made["columns"]:
        name = column["column"]
        drawn = bars(compared.reference.columns[name], compared.window.columns[name], labels.get(name, {}))
        about = features[name].help if name in features else f"What the model answers: {bundle.manifest.answer}"
        cards.append(
            {
                **column,
                "help": about,
                "histogram": svg(name, drawn),
                "ends": ends(drawn),
                "unsent": compared.unsent.get(name, 0.0),
                "level": min(column["effect"] / column["minimum_effect"], 2) / 2,
            }
        )
    cards.sort(key=lambda card: (not card["drifts"], not card["ended"]))
    shown = {
        "report": made,
        "title": use_case.title,
        "cards": cards,
        "figures": _figures(made["quality"], bundle),
        "challenger": _challenger(made.get("challenger"), bundle),
        "test_rows": bundle.manifest.rows.get("test", 0),
    }
    return _templates().get_template("report.html").render(**shown, links=other_pages, root="../")


def drifts(made: Report) -> list[dict[str, Any]]:
    """Return the columns that drift or drifted, the strongest first."""
    named = [c for c in made.get("columns", []) if c["drifts"] or c["ended"]]
    return sorted(named, key=lambda c: (not c["drifts"], -c["effect"] / c["minimum_effect"]))


def when(column: Report) -> str:
    """Return in words since when a column drifts, as far as the window shows it."""
    if column["since"] is None:
        return "over the whole window, in no part of it clearly"
    began = "from the window's beginning or before" if column["from_start"] else f"since {clock(column['since'])}"
    return f"{began}, until {clock(column['ended'])}" if column["ended"] else began


def clock(time: str) -> str:
    """Return an ISO time in UTC as people read it."""
    return f"{datetime.fromisoformat(time):%-d %b %H:%M}"


def day(time: str) -> str:
    """Return the day of an ISO time."""
    return f"{datetime.fromisoformat(time):%A, %-d %B %Y}"


def span(made: Report) -> str:
    """Return a report's window in words, its day left out where it is the day it ended."""
    since, until = (datetime.fromisoformat(made[name]) for name in ("since", "until"))
    began = f"{since:%H:%M}" if since.date() == until.date() else f"{since:%-d %b %H:%M}"
    return f"{began} to {until:%H:%M} UTC"


def leading(made: Report) -> tuple[str, float, int] | None:
    """Return the first figure of quality by outcomes, its name in words, and over how many records; None without."""
    found = made.get("quality") or {"figures": {}, "records": 0}
    order = [n for names in SHOWN_FIGURES.values() for n in names if n in found["figures"]]
    return (words(order[0]), found["figures"][order[0]], found["records"]) if order else None


def _figures(quality: Mapping[str, Any], bundle: Bundle) -> list[tuple[str, float | None, float | None]]:
    known = (quality["figures"], quality["at_training"])
    names = [n for n in SHOWN_FIGURES[bundle.manifest.task] if any(n in source for source in known)]
    return [(words(n), known[0].get(n), known[1].get(n)) for n in names]


def _challenger(made: Report | None, bundle: Bundle) -> dict[str, Any] | None:
    """What the page tells of a challenger: figures in the order and words of the others; None where there is none."""
    if made is None:
        return None
    names = [n for n in SHOWN_FIGURES[bundle.manifest.task] if n in made["figures"]]
    return {**made, "figures": [(words(n), *made["figures"][n]) for n in names]}


@cache
def _templates() -> Environment:
    made = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined)
    made.filters.update(clock=clock, span=span, drifts=drifts, when=when, leading=leading, day=day)
    made.trim_blocks = made.lstrip_blocks = True
    style = MONITOR_STYLE.read_text() + (HERE / "templates" / "style.css").read_text()
    made.globals["style"] = Markup(style)  # noqa: S704 - our own files
    return made
