"""What the monitor's page shows of one run, as texts and numbers for the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from monitoring.evidently_service.drift.dependence import BLOCKS
from monitoring.evidently_service.drift.evidently_figures import EvidentlyFigure
from monitoring.evidently_service.drift.reference import PREDICTION
from monitoring.evidently_service.drift.verdict import ColumnVerdict, DriftRule
from monitoring.evidently_service.site.histogram import Bar, bars, svg
from monitoring.evidently_service.windows.evaluation import Evaluation
from monitoring.evidently_service.windows.watch import Watch
from scorehouse.bundles.bundle import Bundle
from scorehouse.scoring.classes import chance_column
from scorehouse.scoring.figures import FIGURES
from scorehouse.usecase import Feature, UseCase, with_parts

METHODS = {
    "ks": "Kolmogorov-Smirnov p",
    "chisquare": "chi-square p",
    "z": "z-test p",
    "wasserstein": "Wasserstein distance",
    "jensenshannon": "Jensen-Shannon distance",
}
CLEAR_DEPENDENCE = 1.8  # a design effect that independent records hardly ever reach


@dataclass(frozen=True)
class Column:
    """One column's card."""

    name: str
    help: str
    drifts: bool
    since: str
    evaluations: int
    moved: str  # the effect in words
    level: float  # length of the bar, 0..1: half the effect over its threshold, at most 1
    adjusted_p_value: float
    counts_as: int | None  # independent records, where they are clearly fewer than the window's
    evidently: str
    evidently_drifts: bool
    missing: tuple[float, float]
    unsent: float
    histogram: Markup
    ends: tuple[str, str]


@dataclass(frozen=True)
class FigureRow:
    """One row of the quality table; None where a source does not have the figure."""

    label: str
    meaning: str
    outcomes: float | None
    estimate: float | None
    training: float | None


def clock(seconds: float) -> str:
    """Return a Unix time in UTC as people read it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%-d %b %H:%M:%S} UTC"


def headline(watch: Watch | None) -> str:
    """Return the verdict in a few words."""
    if watch is None:
        return "No predictions yet"
    if len(watch.window) < watch.rule.minimum_window or watch.evaluation is None or not watch.sampling.whole:
        return "Too early to say"
    count = len(watch.drifting)
    total = len(watch.evaluation.verdict.columns)
    return f"{count} of {total} columns drift{'s' if count == 1 else ''}" if count else "Nothing drifts"


def notices(watch: Watch, evaluation: Evaluation) -> list[str]:
    """Return what a reader must know before trusting the figures."""
    texts = []
    rule = watch.rule
    rows = evaluation.window.rows
    if len(watch.window) < rule.minimum_window:
        texts.append(f"{len(watch.window)} records so far; a verdict needs {rule.minimum_window}.")
    if not watch.sampling.whole:
        texts.append(
            f"The records so far cover less than {hours(rule)}, which a verdict needs because records may differ by "
            f"the hour. It comes after {clock((watch.sampling.since or evaluation.oldest) + rule.span)}."
        )
    if evaluation.left_out:
        texts.append(f"Not compared, because no record contains them: {', '.join(evaluation.left_out)}.")
    if evaluation.predictions_compared < rows:
        texts.append(
            f"Predictions are compared for {evaluation.predictions_compared} of {rows} records: the others contain "
            "only some of the optional fields, and the training data has no predictions for such records."
        )
    if evaluation.reference.rows < rule.minimum_reference:
        texts.append(
            f"The training data has {evaluation.reference.rows:,} rows to compare with. The drift rule was tested with "
            f"{rule.minimum_reference:,} or more, so small shifts may be missed."
        )
    return texts


def hours(rule: DriftRule) -> str:
    """Return the time that a window covers at least, in words."""
    return f"{rule.span / 3600:g} hour{'s' if rule.span != 3600 else ''}"


def assumptions(watch: Watch) -> list[str]:
    """Return what must hold so that the verdict is right."""
    rule = watch.rule
    subject = (
        "Each customer_id counts once per window, with its newest record. Without one, equal records count once."
        if watch.columns.content_identifies
        else "Each customer_id counts once per window, with its newest record. Each record without one counts, because "
        "equal records are common in the training data: send a customer_id if clients repeat records."
    )
    texts = [
        "The training data is a sample of the records that the model is to score.",
        subject,
        "Records may resemble those before and after them, as those of a household or a batch do, in runs of up to "
        f"about {rule.window // BLOCKS} records of the window. The test then counts them as fewer; a column that "
        f"counts as fewer than {rule.minimum_effective:g} records is not judged.",
        "The predictions of the training data come from models that were trained on parts of it. Those of the window "
        f"may differ from them by {rule.prediction_tolerance:g} of their standard deviation without counting as drift.",
    ]
    if rule.span:
        texts.append(
            f"Records may differ by the hour, but {hours(rule)} have the mix of the training data. If the days of a "
            "week differ by enough to matter, set DRIFT_WINDOW_HOURS to 168. A shift is found once it fills enough of "
            f"the window: a large one within hours, a small one after most of {hours(rule)}."
        )
    else:
        texts.append(
            "The mix of records does not depend on the hour. If it does, set DRIFT_WINDOW_HOURS to 24: now, the newest "
            f"{rule.window} records are judged, however quickly they came."
        )
    return texts


def columns(watch: Watch, evaluation: Evaluation, use_case: UseCase) -> list[Column]:
    """Return every compared column's card, in the model's order but with the drifting columns first."""
    features = {f.name: f for f in (*use_case.derived, *with_parts(watch.bundle.features))}
    pairs = zip(evaluation.verdict.columns, evaluation.figures, strict=True)
    cards = [_card(watch, evaluation, v, f, features.get(v.name)) for v, f in pairs]
    return sorted(cards, key=lambda card: not card.drifts)


def figures(watch: Watch) -> list[FigureRow]:
    """Return the quality table: measured on outcomes, estimated, and at training."""
    estimate = watch.evaluation.estimate if watch.evaluation else {}
    known = (watch.quality, estimate, watch.at_training)
    return [
        FigureRow(figure.label, figure.meaning, *(source.get(figure.name) for source in known))
        for figure in FIGURES[watch.bundle.manifest.task]
        if any(figure.name in source for source in known)
    ]


def _card(
    watch: Watch, evaluation: Evaluation, verdict: ColumnVerdict, figure: EvidentlyFigure, feature: Feature | None
) -> Column:
    name = verdict.name
    drifting = watch.drifting.get(name)
    reference = evaluation.reference.columns[name]
    window = evaluation.window.columns[name]
    drawn = bars(reference, window, code_labels(watch.bundle, name, feature))
    measure = "distance of the distributions" if verdict.test == "ks" else "share of records"
    score = "not available" if figure.score is None else f"{METHODS[figure.method or '']} {figure.score:.3g}"
    return Column(
        name=name,
        help=help_of(watch.bundle, name, feature),
        drifts=drifting is not None,
        since=clock(drifting.since) if drifting else "",
        evaluations=drifting.evaluations if drifting else 0,
        moved=f"{verdict.effect:.3f} ({measure}); {verdict.minimum_effect:.2f} counts as drift",
        level=min(verdict.effect / verdict.minimum_effect, 2) / 2,
        adjusted_p_value=verdict.adjusted_p_value,
        counts_as=round(verdict.effective) if window.design_effect > CLEAR_DEPENDENCE else None,
        evidently=score,
        evidently_drifts=figure.drifted,
        missing=(reference.missing / max(reference.rows, 1), window.missing / max(window.rows, 1)),
        unsent=evaluation.unsent.get(name, 0.0),
        histogram=svg(name, drawn),
        ends=ends(drawn),
    )


def help_of(bundle: Bundle, name: str, feature: Feature | None) -> str:
    """Return what a compared column is: a feature, the predictions, or the chance of one of several classes."""
    if feature is not None:
        return feature.help
    chances = {chance_column(class_): f"The chance of {class_}" for class_ in bundle.manifest.classes}
    return chances.get(name, f"The model's predictions: {bundle.manifest.answer}")


def code_labels(bundle: Bundle, name: str, feature: Feature | None) -> dict[float, str]:
    """Return the labels of a category's codes, of both booleans, or of a number's levels if they have names."""
    if feature is None and name == PREDICTION and bundle.manifest.classes:
        return {float(place): str(class_) for place, class_ in enumerate(bundle.manifest.classes)}
    labels = feature.labels if feature else {}
    if feature and feature.kind == "boolean":
        labels = {False: "false", True: "true", **labels}
    codes = next((c.codes for c in bundle.encoder.columns if c.name == name and c.is_category), None)
    if codes is None:
        return {float(value): str(word) for value, word in labels.items()}
    return {code: str(labels.get(category, category)) for category, code in codes.items()}


def ends(drawn: Sequence[Bar]) -> tuple[str, str]:
    """Return the lowest and the highest label of a histogram."""
    return (drawn[0].label.partition(" to ")[0], drawn[-1].label.rpartition(" to ")[2]) if drawn else ("", "")
