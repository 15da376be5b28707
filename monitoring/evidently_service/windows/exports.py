"""Exports what the monitor knows to Prometheus: series appear and disappear with what they describe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import Gauge

from monitoring.evidently_service.windows.evaluation import Evaluation
from monitoring.evidently_service.windows.watch import Watch
from scorehouse import metrics

Run = tuple[str, str]
Series = tuple[Gauge, tuple[str, ...]]
FEATURE_TYPES = {"number": "num", "category": "cat"}  # Evidently's words, which dashboards use


class Exports:
    """Sets every series each time, and removes those that no longer describe anything."""

    def __init__(self, dataset_name: str):
        """Export nothing yet."""
        self._dataset_name = dataset_name
        self._exported: set[Series] = set()

    def publish(self, watches: Iterable[Watch], unwatched: Iterable[str], waiting: int) -> None:
        """Export the watched runs, the ids of unwatched ones and how many outcomes wait, and nothing else."""
        current: dict[Series, float] = {(metrics.WAITING_OUTCOMES, (self._dataset_name,)): waiting}
        for run_id in unwatched:
            current[metrics.UNWATCHED, (self._dataset_name, run_id)] = 1
        for watch in watches:
            current.update(self._run(watch))
        for (gauge, labels), value in current.items():
            gauge.labels(*labels).set(value)
        for gauge, labels in self._exported - current.keys():
            gauge.remove(*labels)
        self._exported = set(current)

    def _run(self, watch: Watch) -> Iterator[tuple[Series, float]]:
        run = (self._dataset_name, watch.run_id)
        yield (metrics.UNWATCHED, run), 0
        yield (metrics.WINDOW_RECORDS, run), len(watch.window)
        if len(watch.window):
            yield (metrics.WINDOW_OLDEST, run), float(watch.window.times.min())
            yield (metrics.WINDOW_NEWEST, run), float(watch.window.times.max())
        yield (metrics.REJECTED_SHARE, run), watch.recent.share
        yield (metrics.RECENT_RECORDS, run), watch.recent.records
        if watch.evaluation is not None:
            yield from _dataset(watch, watch.evaluation, run)
            yield from _features(watch, watch.evaluation, run)
        yield from _quality(watch, run)


def _dataset(watch: Watch, evaluation: Evaluation, run: Run) -> Iterator[tuple[Series, float]]:
    drifting = evaluation.drifting
    columns = evaluation.verdict.columns
    yield (metrics.DATASET_DRIFT, run), bool(drifting)
    yield (metrics.N_DRIFTED, run), len(drifting)
    yield (metrics.SHARE_DRIFTED, run), len(drifting) / max(len(columns), 1)
    yield (metrics.DRIFT_CONFIRMED, run), len(watch.confirmed)


def _features(watch: Watch, evaluation: Evaluation, run: Run) -> Iterator[tuple[Series, float]]:
    for verdict, figure in zip(evaluation.verdict.columns, evaluation.figures, strict=True):
        feature = (*run, verdict.name, FEATURE_TYPES[verdict.kind])
        yield (metrics.P_VALUE, feature), figure.p_value
        if figure.score is not None and figure.method is not None:
            yield (metrics.DRIFT_SCORE, (*feature, figure.method)), figure.score
        yield (metrics.DRIFT_EFFECT, (*feature, verdict.test)), verdict.effect
        yield (metrics.DRIFT_THRESHOLD, feature), verdict.minimum_effect
        yield (metrics.ADJUSTED_P_VALUE, feature), verdict.adjusted_p_value
        yield (metrics.FEATURE_DRIFTED, feature), verdict.name in watch.drifting
        if verdict.name in watch.drifting:
            yield (metrics.DRIFT_SINCE, feature), watch.drifting[verdict.name].since
        for side, table in (("reference", evaluation.reference), ("window", evaluation.window)):
            sample = table.columns[verdict.name]
            yield (metrics.MISSING_SHARE, (*feature, side)), sample.missing / max(sample.rows, 1)
    kinds = dict(watch.columns.columns)
    for name, share in evaluation.unsent.items():
        yield (metrics.UNSENT_SHARE, (*run, name, FEATURE_TYPES[kinds[name]])), share


def _quality(watch: Watch, run: Run) -> Iterator[tuple[Series, float]]:
    manifest = watch.bundle.manifest
    evaluation = watch.evaluation
    sources: Sequence[tuple[str, Mapping[str, float], int]] = (
        ("outcomes", watch.quality, len(watch.outcomes)),
        ("estimate", evaluation.estimate, evaluation.estimated_records) if evaluation else ("estimate", {}, 0),
        ("training", watch.at_training, manifest.rows.get("test", 0)),
    )
    for source, figures, records in sources:
        yield (metrics.QUALITY_RECORDS, (*run, source)), records
        for figure, value in figures.items():
            yield (metrics.QUALITY, (*run, figure, source)), value
