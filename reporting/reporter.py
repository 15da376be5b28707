"""Writes the reports of one window: for each run that answered, a document, a page and Evidently's pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import numpy as np

from monitoring.evidently_service.drift.verdict import DEFAULT_RULE, DriftRule
from monitoring.evidently_service.site.page import code_labels
from monitoring.evidently_service.windows.watch import quality_at_training
from reporting import pages
from reporting.challenger import compare_challenger
from reporting.comparison import Comparison, compare
from reporting.document import Span, empty_document, refused_document, report_document
from reporting.evidently_report import Labels, drift_report, quality_report
from reporting.folder import ReportFolder
from scorehouse.bundles.bundle import Bundle
from scorehouse.bundles.cache import BundleCache
from scorehouse.errors import BundleError, RunNotFound, UseCaseError
from scorehouse.pages.loading import load_use_case
from scorehouse.scoring.figures import Vector
from scorehouse.scoring.quality import quality
from scorehouse.stores.report_store import ReportStore
from scorehouse.stores.store import Answered, Document
from scorehouse.usecase import UseCase, with_parts

SHOWN = 500  # reports in the index
PARTS = 96  # of a time whose records are sampled
Report = dict[str, Any]


class Reporter:
    """Reports on windows of time. A new report of the same window replaces the old one and includes later outcomes."""

    def __init__(
        self,
        store: ReportStore,
        cache: BundleCache,
        folder: ReportFolder,
        links: Mapping[str, str],
        most_records: int,
        keep_days: int = 0,
        challengers: Mapping[str, str] = MappingProxyType({}),
        rule: DriftRule = DEFAULT_RULE,
        clock: Callable[[], float] = time.time,
        load: Callable[[str], UseCase] = load_use_case,
    ):
        """Read nothing yet.

        At most the newest `most_records` of a run are read. Reports are kept for `keep_days`, or forever if it is 0.
        `links` are the other pages by name; `challengers` are the runs (SHADOW_RUN_ID), by use case, that are compared.
        """
        self._store = store
        self._cache = cache
        self._folder = folder
        self._links = links
        self._most_records = most_records
        self._keep_days = keep_days
        self._challengers = challengers
        self._rule = rule
        self._clock = clock
        self._load = load

    def span(self, minutes: int, until: datetime | None = None) -> Span:
        """Return the `minutes` before `until` (UTC where it has no zone), or before the end of this minute."""
        if until is None:
            seconds = self._now().timestamp() + 59.999  # so that answers of this minute are included
        else:
            seconds = (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp()
        end = datetime.fromtimestamp(seconds // 60 * 60, UTC)  # Prefect's own datetimes cannot be subtracted
        return Span(end - timedelta(minutes=minutes), end)

    def report(self, span: Span) -> list[Report]:
        """Write every report of a window, or one that says that there is nothing to report; return what is stored.

        Raises:
            StoreUnavailable, RegistryUnavailable, CacheUnavailable: try again later; no report is left half written.
            OSError: the report folder cannot be written.
        """
        reports = [self._report_run(run, span) for run in self._store.answered_between(span.since, span.until)]
        reports = reports or [empty_document(span, self._now())]
        for report in reports:
            self._store.save_report(report)
        self._delete_old()
        self._folder.write_index(pages.render_index(self._store.reports(SHOWN), self._links))
        return reports

    def _report_run(self, run: Answered, span: Span) -> Report:
        try:
            use_case = self._load(run.use_case)
            bundle = self._cache.load(self._cache.resolve(run.use_case, run.run_id))
            documents = self._store.newest_between(run, span.since, span.until, self._most_records)
            comparison = self._compare(run, span, documents, bundle, use_case)
        except (RunNotFound, BundleError, UseCaseError) as error:
            return refused_document(run, span, self._now(), str(error))
        if comparison is None:
            return refused_document(run, span, self._now(), "No record has the fields that this run's model needs.")
        return self._write(run, span, comparison, documents, bundle, use_case)

    def _compare(
        self, run: Answered, span: Span, documents: Sequence[Document], bundle: Bundle, use_case: UseCase
    ) -> Comparison | None:
        """Compare the report's records; with a rule that spans time, a sample of at least that time before its end."""
        if not self._rule.span:
            return compare(documents, bundle, use_case, self._rule)
        since = min(span.since, span.until - timedelta(seconds=self._rule.span))
        earlier = self._store.newest_between(run, since - timedelta(seconds=self._rule.span), since, 1)
        spread = self._read_spread(run, since, span.until)
        return compare(spread, bundle, use_case, self._rule, whole=bool(earlier))

    def _read_spread(self, run: Answered, since: datetime, until: datetime) -> list[Document]:
        """Return at most `most_records` of a time, oldest first: of each part of it the newest, by its share of all."""
        step = (until - since) / PARTS
        parts = [(since + i * step, since + (i + 1) * step) for i in range(PARTS)]
        answered = [self._store.answered_between(*part) for part in parts]
        same = (run.use_case, run.run_id)
        counts = [sum(a.records for a in of_part if (a.use_case, a.run_id) == same) for of_part in answered]
        share = min(1.0, self._most_records / max(sum(counts), 1))
        return [
            document
            for part, count in zip(parts, counts, strict=True)
            if count
            for document in self._store.newest_between(run, *part, max(round(count * share), 1))
        ]

    def _write(
        self,
        run: Answered,
        span: Span,
        comparison: Comparison,
        documents: Sequence[Document],
        bundle: Bundle,
        use_case: UseCase,
    ) -> Report:
        with_outcome = self._store.newest_between(run, span.since, span.until, self._most_records, with_outcome=True)
        outcomes = np.array([d["outcome"] for d in with_outcome], dtype=np.float64)
        predictions = np.array([d["prediction"] for d in with_outcome], dtype=np.float64)
        figures = {
            "records": len(with_outcome),
            "figures": quality(bundle.manifest.task, outcomes, predictions),
            "at_training": quality_at_training(bundle.manifest, comparison.bare_share),
        }
        report = report_document(run, span, self._now(), comparison, figures, self._rule)
        challenger = self._challengers.get(use_case.name)
        if challenger and challenger != run.run_id:
            report |= self._compare_challenger(challenger, report, documents, with_outcome, use_case)
        features = {f.name: f for f in (*use_case.derived, *with_parts(bundle.features))}
        labels = {name: code_labels(bundle, name, features.get(name)) for name in comparison.reference.columns}
        self._write_evidently(report, comparison, bundle, labels, (outcomes, predictions))
        page = pages.render_report(report, comparison, bundle, use_case, labels, self._links)
        self._folder.write_page(report["id"], page)
        return report

    def _write_evidently(
        self, report: Report, comparison: Comparison, bundle: Bundle, labels: Labels, known: tuple[Vector, Vector]
    ) -> None:
        """Write Evidently's pages, and add their figures to `report`, or a notice that says why a page is missing."""
        reference = (bundle.reference.truth, bundle.reference.predictions)
        by_outcomes, problem = quality_report(bundle.manifest, reference, known)
        if len(known[0]) and problem:
            report["notices"].append(problem)
        drift = drift_report(comparison.reference, comparison.window, labels)
        written = {name: evidently for name, evidently in (("drift", drift), ("quality", by_outcomes)) if evidently}
        report["evidently"] = {name: evidently.metrics for name, evidently in written.items()}
        for name, evidently in written.items():
            self._folder.write_page(f"{report['id']}-{name}", evidently.html)

    def _compare_challenger(
        self,
        run_id: str,
        report: Report,
        documents: Sequence[Document],
        with_outcome: Sequence[Document],
        use_case: UseCase,
    ) -> Report:
        try:
            bundle = self._cache.load(self._cache.resolve(use_case.name, run_id))
            return {"challenger": compare_challenger(bundle, use_case, documents, with_outcome)}
        except (RunNotFound, BundleError) as error:
            return {"notices": [*report["notices"], f"The challenger is not compared: {error}"]}

    def _delete_old(self) -> None:
        if self._keep_days:
            oldest = self._now() - timedelta(days=self._keep_days)
            self._store.forget_reports(oldest.replace(microsecond=0))
            self._folder.forget(oldest)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
