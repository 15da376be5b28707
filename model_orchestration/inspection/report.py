"""The report of an inspection: one page that opens offline, with the decisions and Evidently's profile of columns."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from model_orchestration.inspection.inspection import Inspection
from model_orchestration.inspection.kinds import Column
from scorehouse.tables.cells import is_missing

MOST_ROWS, MOST_COLUMNS = 10_000, 50  # of which the profile is made: it costs more than all the rest


def write_report(inspection: Inspection, path: Path) -> Path:
    """Write the page of `inspection` to `path`, and return the path."""
    environment = Environment(
        loader=PackageLoader("model_orchestration.inspection"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    used = [c for c in inspection.columns if c.feature is not None]
    shown = [c for c in inspection.columns if c.name == inspection.target.name] + used[: MOST_COLUMNS - 1]
    page = environment.get_template("report.html").render(
        inspection=inspection,
        profile=_profile(inspection, shown),
        shown=f"The target and the first {len(shown) - 1} of {len(used)} used columns"
        if len(shown) <= len(used)
        else "The target and all used columns",
        rows=f"of {MOST_ROWS:,} random rows" if inspection.rows > MOST_ROWS else "of all rows",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def _profile(inspection: Inspection, shown: list[Column]) -> str:
    """Return Evidently's page about some columns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from evidently import Dataset, Report
        from evidently.presets import DataSummaryPreset

        table = pd.DataFrame({column.name: column.values for column in shown})
        table = table.sample(min(MOST_ROWS, inspection.rows), random_state=0).sort_index()
        for name in table.select_dtypes(object).columns:
            table[name] = [None if is_missing(value) else _without_markup(str(value)) for value in table[name]]
        table.columns = pd.Index([_without_markup(str(name)) for name in table.columns])
        made = Report([DataSummaryPreset()]).run(Dataset.from_pandas(table), None)
        page: str = made.get_html_str(as_iframe=False)
    return page


def _without_markup(text: str) -> str:
    """Return text that cannot end Evidently's script: it writes names and values into one without escaping them."""
    return text.replace("<", "< ")
