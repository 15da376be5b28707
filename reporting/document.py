"""A report as the JSON document that is stored: the verdict in words, the figures and the notices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from monitoring.evidently_service.drift.verdict import DEFAULT_RULE, DriftRule
from reporting.comparison import Comparison
from reporting.evidently_report import comparable
from scorehouse.stores.store import Answered


@dataclass(frozen=True, slots=True)
class Span:
    """A window of time, in UTC: from `since` on and before `until`, both at whole minutes."""

    since: datetime
    until: datetime

    @property
    def minutes(self) -> int:
        """Its length."""
        return round((self.until - self.since).total_seconds() / 60)

    @property
    def name(self) -> str:
        """Its end and length, as a part of a file name; such names sort by time."""
        return f"{self.until:%Y%m%dT%H%MZ}-{self.minutes}min"


def headline(comparison: Comparison, rule: DriftRule = DEFAULT_RULE) -> tuple[str, str]:
    """Return the verdict as a state and in words, which are the monitor's."""
    count = len(comparison.drifting)
    ended = len(comparison.drifted)
    total = len(comparison.verdict.columns)
    if len(comparison.observed) < rule.minimum_window or not comparison.whole:
        return "early", "Too early to say"
    if count:
        return "drifts", f"{count} of {total} columns drift{'s' if count == 1 else ''}"
    if ended:
        return "drifted", f"{ended} of {total} columns drifted, but no longer {'does' if ended == 1 else 'do'}"
    return "quiet", "Nothing drifts"


def empty_document(span: Span, made_at: datetime, use_case: str = "") -> dict[str, Any]:
    """Return the document of a window in which nothing was answered."""
    return {
        **_about(span, made_at, f"{use_case or 'all'}/{span.name}-nothing"),
        "use_case": use_case,
        "model_run_id": "",
        "state": "nothing",
        "verdict": "Nothing to report",
        "records": 0,
        "notices": ["No records were scored in this window."],
    }


def refused_document(run: Answered, span: Span, made_at: datetime, reason: str) -> dict[str, Any]:
    """Return the document of a run whose predictions cannot be compared, with the reason."""
    return {
        **_about(span, made_at, _name(run, span)),
        "use_case": run.use_case,
        "model_run_id": run.run_id,
        "state": "refused",
        "verdict": "Cannot be compared",
        "records": run.records,
        "notices": [reason],
    }


def report_document(
    run: Answered,
    span: Span,
    made_at: datetime,
    comparison: Comparison,
    quality: Mapping[str, Any],
    rule: DriftRule = DEFAULT_RULE,
) -> dict[str, Any]:
    """Return the document of a run's window; `quality` has `records`, `figures` and `at_training`."""
    state, verdict = headline(comparison, rule)
    return {
        **_about(span, made_at, _name(run, span)),
        "use_case": run.use_case,
        "model_run_id": run.run_id,
        "state": state,
        "verdict": verdict,
        "records": run.records,
        "compared": len(comparison.observed),
        "reference_rows": comparison.reference.rows,
        "oldest": _iso(float(comparison.observed.times.min())),
        "newest": _iso(float(comparison.observed.times.max())),
        "columns": [_column(comparison, place) for place in range(len(comparison.verdict.columns))],
        "quality": dict(quality),
        "notices": notices(run, comparison, rule),
    }


def notices(run: Answered, comparison: Comparison, rule: DriftRule = DEFAULT_RULE) -> list[str]:
    """Return what a reader must know before trusting the figures."""
    rows = len(comparison.observed)
    texts = []
    if rows < rule.minimum_window:
        texts.append(f"{_records(rows)} can be compared; a verdict needs {rule.minimum_window}.")
    read = rows + comparison.refused + comparison.repeated
    if rule.span:
        texts.append(_about_span(read, comparison.whole, rule))
    elif run.records > read:
        texts.append(f"The newest {read:,} of {run.records:,} records are compared.")
    if comparison.repeated:
        texts.append(
            f"{_records(comparison.repeated)} {'repeats' if comparison.repeated == 1 else 'repeat'} the customer or "
            "the content of another; each customer or content counts once."
        )
    if comparison.refused:
        texts.append(
            f"{_records(comparison.refused)} {'was' if comparison.refused == 1 else 'were'} left out because "
            f"{'its' if comparison.refused == 1 else 'their'} fields do not match this run."
        )
    for name, count in comparison.unseen.items():
        texts.append(
            f"{name}: {_records(count)} {'has' if count == 1 else 'have'} a category unseen in training; "
            "it was scored as missing."
        )
    if left_out := [name for name, share in comparison.unsent.items() if share == 1]:
        texts.append(f"Not compared, because no record contains them: {', '.join(left_out)}.")
    for name in comparable(comparison.reference, comparison.window)[1]:
        empty_side = "row of the training data" if comparison.window.columns[name].present.size else "record"
        texts.append(f"{name}: missing in every {empty_side}. The verdict includes it; Evidently's page does not.")
    if comparison.reference.rows < rule.minimum_reference:
        texts.append(
            f"The training data has {comparison.reference.rows:,} rows to compare with. The drift rule was tested with "
            f"{rule.minimum_reference:,} or more, so small shifts may be missed."
        )
    return texts


def _about_span(read: int, whole: bool, rule: DriftRule) -> str:
    hours = f"{rule.span / 3600:g} hours"
    if whole:
        return f"Drift is judged on {_records(read)} of the {hours} before the end of this report."
    return f"This run has answered for less than {hours}, which a verdict needs because records differ by the hour."


def _column(comparison: Comparison, place: int) -> dict[str, Any]:
    verdict = comparison.verdict.columns[place]
    episode = comparison.episodes.get(verdict.name)
    reference, window = (t.columns[verdict.name] for t in (comparison.reference, comparison.window))
    return {
        "column": verdict.name,
        "kind": verdict.kind,
        "drifts": verdict.name in comparison.drifting,
        "since": _iso(episode.since) if episode else None,
        "from_start": bool(episode and episode.from_start),
        "ended": _iso(episode.ended) if episode and episode.ended is not None else None,
        "test": verdict.test,
        "effect": verdict.effect,
        "minimum_effect": verdict.minimum_effect,
        "p_value": verdict.p_value,
        "adjusted_p_value": verdict.adjusted_p_value,
        "missing_in_reference": reference.missing / max(reference.rows, 1),
        "missing_in_window": window.missing / max(window.rows, 1),
    }


def _about(span: Span, made_at: datetime, id_: str) -> dict[str, Any]:
    return {
        "id": id_,
        "since": span.since.isoformat(),
        "until": span.until.isoformat(),
        "minutes": span.minutes,
        "made_at": made_at.isoformat(timespec="seconds"),
    }


def _name(run: Answered, span: Span) -> str:
    return f"{run.use_case}/{span.name}-{run.run_id[:12]}"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _records(count: int) -> str:
    return f"{count:,} record{'' if count == 1 else 's'}"
