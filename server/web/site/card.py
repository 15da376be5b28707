"""The model's card: what it answers, what it was trained on, how good it is in words, and where its limits are."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from scorehouse.bundles.bundle import Manifest
from scorehouse.scoring.figures import FIGURES, Figure

MOST_CLASSES = 12  # whose confusion is shown: a wider table fits no page
_FAMILIES = {
    "xgboost": "Boosted trees (XGBoost)",
    "random_forest": "Random forest",
    "logistic": "Logistic regression",
    "ridge": "Ridge regression",
    "lasso": "Lasso regression",
    "svc": "Support vector machine",
}


@dataclass(frozen=True, slots=True)
class CardFigure:
    """One figure of quality as people read it."""

    name: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Card:
    """The card's parts, in the order in which they are shown."""

    facts: list[tuple[str, str]]
    figures: list[CardFigure]
    sharper: str  # what the optional fields gain; empty where that was not measured
    limits: list[str]
    confusion: list[tuple[str, int, list[float]]]  # true class, its test rows, and which share got each class


def build_card(manifest: Manifest, optional: int) -> Card:
    """Return the card of a model whose records have `optional` optional fields."""
    measured = {k.removeprefix("test_"): v for k, v in manifest.quality.items() if k.startswith("test_")}
    unit = manifest.answer_unit
    figures = [
        _card_figure(figure, measured, unit)
        for figure in FIGURES[manifest.task]
        if figure.on_card and figure.name in measured
    ]
    sharper = _sharper(FIGURES[manifest.task][0], measured, unit) if optional else ""
    return Card(_facts(manifest), figures, sharper, _limits(manifest, optional), _confusion(manifest))


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    training, validation, test = (manifest.rows.get(side, 0) for side in ("training", "validation", "test"))
    rows = f"{training:,} to train on, {validation:,} to choose the best model, {test:,} held out to test it"
    if manifest.split.startswith("by time"):
        rows += f"; {manifest.split}"
    return [
        ("What it predicts", manifest.about),
        ("Data", f"{manifest.data} (hash {manifest.data_hash[:12]})"),
        ("Data source", manifest.source),
        ("Rows", rows),
        ("Model type", _FAMILIES.get(manifest.family, manifest.family)),
        ("Trained", f"{manifest.created_at:%-d %B %Y, %H:%M} UTC"),
        ("Code version", manifest.commit[:12] if manifest.commit != "unknown" else "unknown"),
        ("Run", manifest.run_id),
    ]


def _confusion(manifest: Manifest) -> list[tuple[str, int, list[float]]]:
    if len(manifest.confusion) > MOST_CLASSES:
        return []
    counted = zip(manifest.classes, manifest.confusion, strict=False)
    return [(str(name), sum(row), [n / max(sum(row), 1) for n in row]) for name, row in counted]


def _card_figure(figure: Figure, measured: Mapping[str, float], unit: str) -> CardFigure:
    meaning = figure.meaning
    if figure.details is not None:
        with suppress(KeyError):  # a figure that the details need was undefined on the test rows
            meaning += f" {figure.details(measured)}"
    name = figure.label[:1].upper() + figure.label[1:]
    return CardFigure(name, _value(figure, measured[figure.name], unit), meaning)


def _sharper(figure: Figure, measured: Mapping[str, float], unit: str) -> str:
    without = f"required_only_{figure.name}"
    if figure.name not in measured or without not in measured:
        return ""
    with_them = _value(figure, measured[figure.name], unit)
    return f"{figure.label} {with_them} with them, {_value(figure, measured[without], unit)} without"


def _value(figure: Figure, value: float, unit: str) -> str:
    return f"{figure.write(value)} {unit}".strip() if figure.has_unit else figure.write(value)


def _limits(manifest: Manifest, optional: int) -> list[str]:
    limits = []
    if manifest.data.startswith("sample of"):
        limits.append("The model was trained on generated rows: its figures say nothing about real ones.")
    limits.append(
        "The model finds correlations, not causes: changing a field changes the prediction, not the real outcome."
    )
    limits.append("Predictions far outside the usual range are unreliable.")
    if optional:
        limits.append("The fewer fields you fill in, the closer the prediction is to the average.")
    return limits
