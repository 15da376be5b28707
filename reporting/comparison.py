"""Compares one run's window of time with its reference, by the monitor's rule, and finds since when columns drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from monitoring.evidently_service.drift.observed import Observed, Places, RunColumns
from monitoring.evidently_service.drift.reference import RunReference
from monitoring.evidently_service.drift.sampling import CELLS, last_of_each
from monitoring.evidently_service.drift.statistics import Floats, Table
from monitoring.evidently_service.drift.verdict import DEFAULT_RULE, DriftRule, Verdict, judge
from scorehouse.bundles.bundle import Bundle
from scorehouse.stores.store import Document
from scorehouse.usecase import UseCase


@dataclass(frozen=True, slots=True)
class Episode:
    """When the slices of a window found a column to drift: Unix times of their newest records.

    `from_start` is set where the column drifts from the first slice on; `ended` is None where it still drifts in the
    last one.
    """

    since: float
    from_start: bool
    ended: float | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """A window of at least one record. `episodes` has the columns that drift in some slice.

    `unsent` has the share of records (0..1) that leave an optional field out, `unseen` how many records have a
    category that the model never saw, `refused` how many stored records do not fit this run's schema, `repeated` how
    many were left out because their customer or content came again. `whole` says whether the records cover the time
    that a verdict needs.
    """

    observed: Observed
    reference: Table
    window: Table
    verdict: Verdict
    episodes: dict[str, Episode]
    unsent: dict[str, float]
    unseen: dict[str, int]
    refused: int
    repeated: int
    whole: bool
    bare_share: float

    @property
    def drifting(self) -> tuple[str, ...]:
        """The columns that drift: over the whole window, or in its newest slice, which is the monitor's window."""
        now = {name for name, episode in self.episodes.items() if episode.ended is None}
        whole = self.verdict.drifted if self.verdict.alarm else ()
        return tuple(c.name for c in self.verdict.columns if c.name in now or c.name in whole)

    @property
    def drifted(self) -> tuple[str, ...]:
        """The columns that drifted for a while but no longer do."""
        return tuple(name for name in self.episodes if name not in self.drifting)


def compare(
    documents: Sequence[Document],
    bundle: Bundle,
    use_case: UseCase,
    rule: DriftRule = DEFAULT_RULE,
    *,
    whole: bool = True,
) -> Comparison | None:
    """Compare stored predictions, oldest first; None where none of them fits the run's schema.

    `whole` says whether they cover the rule's span of time.

    Raises:
        BundleError: this code cannot read the run's records.
        CacheUnavailable: the reference cannot be read now; worth another try.
    """
    columns = RunColumns(bundle, use_case)
    reference = RunReference(bundle.reference, columns)
    fitting = columns.observe(documents)
    observed = fitting.at(last_of_each(fitting.keys))
    if not len(observed):
        return None
    reference_table, window_table = reference.tables(observed)
    unsent = 1 - observed.sent.mean(axis=0)
    return Comparison(
        observed=observed,
        reference=reference_table,
        window=window_table,
        verdict=judge(reference_table, window_table, rule, whole=whole),
        episodes=_episodes(observed, reference, rule) if whole else {},
        unsent={name: float(share) for (name, _), share in zip(columns.columns, unsent, strict=True) if share},
        unseen=_unseen(documents, bundle),
        refused=len(documents) - len(fitting),
        repeated=len(fitting) - len(observed),
        whole=whole,
        bare_share=float(reference.groups(observed)[1].mean()),
    )


def slices(rows: int, rule: DriftRule) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the windows that a monitor would have evaluated, oldest first; the last ends at `rows`."""
    ends = range(rows, rule.minimum_window - 1, -rule.step)
    yield from ((max(0, end - rule.window), end) for end in reversed(ends))


def spans(times: Floats, rule: DriftRule) -> Iterator[Places]:
    """Yield the places of the records of each whole span, oldest first; the last ends at the newest record.

    They are a 24th of a span apart. Windows with too few records for the alarm are left out.
    """
    newest, step = times.max(), rule.span / CELLS
    earlier = max(int((newest - times.min() - rule.span) // step), 0)
    for steps in range(earlier, -1, -1):
        end = newest - steps * step
        places = np.flatnonzero((times > end - rule.span) & (times <= end))
        if len(places) >= rule.minimum_window:
            yield places


def _windows(observed: Observed, rule: DriftRule) -> Iterator[Observed]:
    if rule.span:
        yield from (observed.at(places) for places in spans(observed.times, rule))
    else:
        yield from (observed.at(np.arange(start, end)) for start, end in slices(len(observed), rule))


def _episodes(observed: Observed, reference: RunReference, rule: DriftRule) -> dict[str, Episode]:
    """The last unbroken sequence of slices in which a column drifts, by column."""
    episodes: dict[str, Episode] = {}
    before: tuple[str, ...] = ()
    for place, part in enumerate(_windows(observed, rule)):
        verdict = judge(*reference.tables(part), rule)
        newest = float(part.times.max())
        for name in before:
            if name not in verdict.drifted:
                episodes[name] = replace(episodes[name], ended=newest)
        for name in verdict.drifted:
            if name not in before:
                episodes[name] = Episode(newest, place == 0, None)
        before = verdict.drifted
    return episodes


def _unseen(documents: Sequence[Document], bundle: Bundle) -> dict[str, int]:
    """How many records have a category without a code: it is counted but not shown, because it may be any text."""
    known = {c.source: c.codes for c in bundle.encoder.columns if c.codes is not None}
    sent = ((name, d["record"].get(name)) for d in documents for name in known)
    return dict(
        Counter(
            name
            for name, value in sent
            if isinstance(value, str | int) and not {value, str(value)} & known[name].keys()
        )
    )
