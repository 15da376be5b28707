"""What a report says, as the JSON document that is kept of it: verdict in words, figures, what to know first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from monitoring.evidently_service.drift.verdict import DEFAULT_RULE, DriftRule
from reporting.compared import Comparison
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
        """Its end and length, as a part of a file's name: names sort by time."""
        return f"{self.until:%Y%m%dT%H%MZ}-{self.minutes}min"


def headline(compared: Comparison, rule: DriftRule = DEFAULT_RULE) -> tuple[str, str]:
    """Return the verdict as a state and in the monitor's words."""
    count, ended, of = len(compared.drifting), len(compared.drifted), len(compared.verdict.columns)
    if len(compared.observed) < rule.minimum_window:
        return "early", "Too early to say"
    if count:
        return "drifts", f"{count} of {of} columns drift{'s' if count == 1 else ''}"
    if ended:
        return "drifted", f"{ended} of {of} columns drifted, and no longer {'does' if ended == 1 else 'do'}"
    return "quiet", "Nothing drifts"


def empty(span: Span, made_at: datetime, use_case: str = "") -> dict[str, Any]:
    """Return the document of a window in which nothing was answered."""
    return {
        **_about(span, made_at, f"{use_case or 'all'}/{span.name}-nothing"),
        "use_case": use_case,
        "model_run_id": "",
        "state": "nothing",
        "verdict": "Nothing to report",
        "records": 0,
        "notices": ["No prediction was answered in this window."],
    }


def refused(run: Answered, span: Span, made_at: datetime, why: str) -> dict[str, Any]:
    """Return the document of a run whose predictions cannot be compared."""
    return {
        **_about(span, made_at, _name(run, span)),
        "use_case": run.use_case,
        "model_run_id": run.run_id,
        "state": "refused",
        "verdict": "Cannot be compared",
        "records": run.records,
        "notices": [why],
    }


def document(
    run: Answered, span: Span, made_at: datetime, compared: Comparison, quality: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the document of a run's window; `quality` has `records`, `figures` and `at_training`."""
    state, verdict = headline(compared)
    return {
        **_about(span, made_at, _name(run, span)),
        "use_case": run.use_case,
        "model_run_id": run.run_id,
        "state": state,
        "verdict": verdict,
        "records": run.records,
        "compared": len(compared.observed),
        "reference_rows": compared.reference.rows,
        "oldest": _iso(float(compared.observed.times.min())),
        "newest": _iso(float(compared.observed.times.max())),
        "columns": [_column(compared, place) for place in range(len(compared.verdict.columns))],
        "quality": dict(quality),
        "notices": notices(run, compared),
    }


def notices(run: Answered, compared: Comparison, rule: DriftRule = DEFAULT_RULE) -> list[str]:
    """Return what a reader must know before trusting the figures."""
    rows, said = len(compared.observed), []
    if rows < rule.minimum_window:
        said.append(f"{_records(rows)} can be compared: no verdict before there are {rule.minimum_window}.")
    if run.records > rows + compared.refused:
        said.append(f"The newest {rows + compared.refused:,} of {run.records:,} records are compared.")
    if compared.refused:
        said.append(f"{_records(compared.refused)} left out: the fields are not those of this run.")
    for name, count in compared.unseen.items():
        said.append(f"{name}: {_records(count)} with a category that training never saw, scored as missing.")
    if left_out := [name for name, share in compared.unsent.items() if share == 1]:
        said.append(f"Not compared, for no record carries it: {', '.join(left_out)}.")
    for name in comparable(compared.reference, compared.window)[1]:
        empty_side = "record here" if not len(compared.window.columns[name].present) else "row of the training table"
        said.append(f"{name}: missing in every {empty_side}; Evidently's page leaves it out, the verdict does not.")
    if compared.reference.rows < rule.minimum_reference:
        said.append(
            f"The reference has {compared.reference.rows:,} rows; the rule was measured with "
            f"{rule.minimum_reference:,} and more, so small shifts may go unseen."
        )
    return said


def _column(compared: Comparison, place: int) -> dict[str, Any]:
    verdict = compared.verdict.columns[place]
    episode = compared.episodes.get(verdict.name)
    reference, window = (t.columns[verdict.name] for t in (compared.reference, compared.window))
    return {
        "column": verdict.name,
        "kind": verdict.kind,
        "drifts": verdict.name in compared.drifting,
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
