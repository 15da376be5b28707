"""Makes the reports of one window: for each run that answered in it a document, a page and Evidently's own pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import numpy as np

from monitoring.evidently_service.site.page import labels
from monitoring.evidently_service.windows.watch import quality_at_training
from reporting import document, evidently_report, pages
from reporting.challenger import beside
from reporting.compared import Comparison, compare
from reporting.document import Span
from reporting.folder import ReportFolder
from scorehouse.bundles.bundle import Bundle
from scorehouse.bundles.cache import BundleCache
from scorehouse.errors import BundleError, RunNotFound, UseCaseError
from scorehouse.scoring.quality import quality
from scorehouse.stores.report_store import ReportStore
from scorehouse.stores.store import Answered, Document
from scorehouse.usecase import UseCase, load_use_case

SHOWN = 500  # reports in the index
Report = dict[str, Any]


class Reporter:
    """The same window made again replaces its reports: outcomes that came since are counted then."""

    def __init__(
        self,
        store: ReportStore,
        cache: BundleCache,
        folder: ReportFolder,
        links: Mapping[str, str],
        most_records: int,
        keep_days: int = 0,
        challengers: Mapping[str, str] = MappingProxyType({}),
        clock: Callable[[], float] = time.time,
        load: Callable[[str], UseCase] = load_use_case,
    ):
        """Read nothing yet. `most_records` bounds what is read of a run; reports are kept for ever if `keep_days` is 0.

        `links` are the other pages, by name; `challengers` are the runs, by use case, that are compared as
        well (SHADOW_RUN_ID).
        """
        self._store, self._cache, self._folder, self._links = store, cache, folder, links
        self._most, self._keep_days, self._challengers = most_records, keep_days, challengers
        self._clock, self._load = clock, load

    def span(self, minutes: int, until: datetime | None = None) -> Span:
        """Return the `minutes` before `until` (UTC where it names no zone), or before this minute ends."""
        if until is None:
            seconds = self._now().timestamp() + 59.999  # what was answered a moment ago is asked for as well
        else:
            seconds = (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp()
        end = datetime.fromtimestamp(seconds // 60 * 60, UTC)  # a plain one: Prefect's own times cannot be subtracted
        return Span(end - timedelta(minutes=minutes), end)

    def report(self, span: Span) -> list[Report]:
        """Make every report of a window, or say that there is nothing to report; return what is kept of them.

        Raises:
            StoreUnavailable, RegistryUnavailable, CacheUnavailable: nothing is half made; try again later.
            OSError: the report folder cannot be written.
        """
        made = [self._of_run(run, span) for run in self._store.answered_between(span.since, span.until)]
        made = made or [document.empty(span, self._now())]
        for report in made:
            self._store.save_report(report)
        self._forget()
        self._folder.write_index(pages.index(self._store.reports(SHOWN), self._links))
        return made

    def _of_run(self, run: Answered, span: Span) -> Report:
        try:
            use_case = self._load(run.use_case)
            bundle = self._cache.load(self._cache.resolve(run.use_case, run.run_id))
            documents = self._store.newest_between(run, span.since, span.until, self._most)
            compared = compare(documents, bundle, use_case)
        except (RunNotFound, BundleError, UseCaseError) as error:
            return document.refused(run, span, self._now(), str(error))
        if compared is None:
            return document.refused(run, span, self._now(), "No record has the fields that this run's model reads.")
        return self._write(run, span, compared, documents, bundle, use_case)

    def _write(
        self,
        run: Answered,
        span: Span,
        compared: Comparison,
        documents: Sequence[Document],
        bundle: Bundle,
        use_case: UseCase,
    ) -> Report:
        known = self._store.newest_between(run, span.since, span.until, self._most, with_outcome=True)
        pairs = np.array([(d["outcome"], d["prediction"]) for d in known], dtype=np.float64).reshape(-1, 2)
        task, trained = bundle.manifest.task, quality_at_training(bundle.manifest, compared.bare_share)
        figures = {"records": len(known), "figures": quality(task, *pairs.T), "at_training": trained}
        report = document.document(run, span, self._now(), compared, figures)
        challenger = self._challengers.get(use_case.name)
        if challenger and challenger != run.run_id:
            report |= self._challenge(challenger, report, documents, known, use_case)
        features = {f.name: f for f in (*use_case.derived, *bundle.features)}
        words = {name: labels(bundle, name, features.get(name)) for name in compared.reference.columns}
        drift = evidently_report.drift_report(compared.reference, compared.window, words)
        reference = bundle.reference
        by_outcomes, why = evidently_report.quality_report(
            task, (reference.truth, reference.predictions), (pairs[:, 0], pairs[:, 1])
        )
        if len(known) and why:
            report["notices"].append(why)
        named = {"drift": drift, "quality": by_outcomes}
        report["evidently"] = {name: made.metrics for name, made in named.items() if made}
        for name, made in named.items():
            if made:
                self._folder.write_page(f"{report['id']}-{name}", made.html)
        self._folder.write_page(report["id"], pages.report(report, compared, bundle, use_case, words, self._links))
        return report

    def _challenge(
        self,
        run_id: str,
        report: Report,
        documents: Sequence[Document],
        known: Sequence[Document],
        use_case: UseCase,
    ) -> Report:
        try:
            bundle = self._cache.load(self._cache.resolve(use_case.name, run_id))
            return {"challenger": beside(bundle, use_case, documents, known)}
        except (RunNotFound, BundleError) as error:
            return {"notices": [*report["notices"], f"The challenger is not compared: {error}"]}

    def _forget(self) -> None:
        if self._keep_days:
            oldest = self._now() - timedelta(days=self._keep_days)
            self._store.forget_reports(oldest.replace(microsecond=0))
            self._folder.forget(oldest)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
