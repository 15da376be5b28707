"""Writes reports now, without Prefect: `python -m reporting [MINUTES] [--until 2026-11-21T12:00]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from monitoring.evidently_service.drift.verdict import drift_rule
from reporting.folder import ReportFolder
from reporting.pages import page_links, span
from reporting.reporter import Reporter
from scorehouse.bundles.cache import BundleCache
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.logs import start_logging
from scorehouse.settings import Settings
from scorehouse.stores.open import open_report_store


@contextmanager
def open_reporter(settings: Settings) -> Iterator[Reporter]:
    """Yield a reporter with these settings, and close its store afterwards. Raises SettingError."""
    store = open_report_store(settings.store)
    cache = BundleCache.of(settings)
    try:
        yield Reporter(
            store,
            cache,
            ReportFolder(settings.reports_folder),
            page_links(settings),
            settings.report_most_records,
            settings.report_retention_days,
            {settings.use_case: settings.shadow_run_id},
            drift_rule(settings.drift_window_hours),
        )
    finally:
        store.close()


def summary(report: Mapping[str, Any]) -> str:
    """Return a report in one line."""
    if report["state"] == "nothing":
        return f"{span(report)}: nothing to report, because no records were scored in this window"
    reason = f": {report['notices'][0]}" if report["state"] == "refused" else ""
    run = f"run {report['model_run_id'][:8]}, {report['records']:,} records"
    return f"{span(report)}: {report['use_case']}, {run}: {report['verdict'][0].lower()}{report['verdict'][1:]}{reason}"


def main() -> None:
    """Report once; exit with status 1 and a one-line message where store, registry or folder cannot be used."""
    settings = settings_or_exit()
    parser = argparse.ArgumentParser(prog="python -m reporting", description=__doc__)
    parser.add_argument("minutes", type=int, nargs="?", default=settings.report_time_window_minutes)
    parser.add_argument("--until", type=datetime.fromisoformat, help="the end of the window, in UTC (default: now)")
    options = parser.parse_args()
    start_logging(settings.log_level)
    try:
        with open_reporter(settings) as reporter:
            for report in reporter.report(reporter.span(options.minutes, options.until)):
                sys.stdout.write(f"{summary(report)}\n")
    except (ScorehouseError, OSError) as error:
        sys.exit(f"reporting: {error}")


if __name__ == "__main__":
    main()
