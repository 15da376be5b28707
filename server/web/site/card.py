"""The model's card: what it answers, what it learned from, how good it is in words, and where it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scorehouse.bundles.bundle import Manifest
from scorehouse.usecase import Task

Quality = Mapping[str, float]
_FAMILIES = {
    "xgboost": "Boosted trees (XGBoost)",
    "random_forest": "Random forest",
    "ridge": "Ridge regression",
    "lasso": "Lasso regression",
    "svc": "Support vector machine",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of quality as a person reads it."""

    name: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Card:
    """The card's parts, in the order in which they are shown."""

    facts: list[tuple[str, str]]
    figures: list[Figure]
    sharper: str  # what the optional fields gain; empty where nothing is known of it
    limits: list[str]


def card(made: Manifest, optional: int) -> Card:
    """Return the card of a model whose records have `optional` optional fields."""
    measured = {k.removeprefix("test_"): v for k, v in made.quality.items() if k.startswith("test_")}
    unit = made.answer_unit
    figures = [figure for of in _FIGURES[made.task] if (figure := of(measured, unit))]
    return Card(_facts(made), figures, _sharper(made.task, measured, optional), _limits(made, optional))


def percent(share: float) -> str:
    """Return a share as a person writes it: 16.9 %."""
    return f"{share * 100:.1f}\N{NO-BREAK SPACE}%"


def _facts(made: Manifest) -> list[tuple[str, str]]:
    rows = made.rows
    sides = f"{rows.get('training', 0):,} to learn from, {rows.get('validation', 0):,} to choose between models"
    return [
        ("What it answers", made.about),
        ("Data", f"{made.data} (hash {made.data_hash[:12]})"),
        ("Where such data comes from", made.source),
        ("Rows", f"{sides}, {rows.get('test', 0):,} kept aside to judge the one that won"),
        ("Kind of model", _FAMILIES.get(made.family, made.family)),
        ("Trained", f"{made.created_at:%-d %B %Y, %H:%M} UTC"),
        ("By the code of commit", made.commit[:12] if made.commit != "unknown" else "unknown"),
        ("Run", made.run_id),
    ]


def _auc(q: Quality, _: str) -> Figure | None:
    if "auc" not in q:
        return None
    pairs = "Given one case where it happened and one where it did not, it gives the higher chance to the right one in"
    return Figure("Ranking (AUC)", f"{q['auc']:.3f}", f"{pairs} {q['auc'] * 100:.0f} of 100 pairs; guessing gets 50.")


def _calibration(q: Quality, _: str) -> Figure | None:
    if not {"mean_predicted", "mean_true", "calibration_error"} <= set(q):
        return None
    mean = f"On average it says {percent(q['mean_predicted'])}, and it happened in {percent(q['mean_true'])} of cases."
    groups = (
        f"Sorted into ten groups by chance, the two differ by {q['calibration_error'] * 100:.1f} points on average."
    )
    return Figure("Chances you can count on", f"± {q['calibration_error'] * 100:.1f} points", f"{mean} {groups}")


def _brier(q: Quality, _: str) -> Figure | None:
    if not {"brier", "mean_true"} <= set(q):
        return None
    blind = q["mean_true"] * (1 - q["mean_true"])
    meaning = f"The mean squared error of a chance: 0 is perfect, always saying the average gives {blind:.3f}."
    return Figure("Error of a chance (Brier)", f"{q['brier']:.3f}", meaning)


def _mae(q: Quality, unit: str) -> Figure | None:
    if "mae" not in q:
        return None
    return Figure("Typical error", f"{q['mae']:,.4g} {unit}".strip(), "How far an answer is off, on average.")


def _total(q: Quality, _: str) -> Figure | None:
    if "predicted_over_true" not in q:
        return None
    meaning = "All answers together, over what really came: 100 % means neither too high nor too low on the whole."
    return Figure("Sum of answers", percent(q["predicted_over_true"]), meaning)


def _deviance(q: Quality, _: str) -> Figure | None:
    if "gamma_deviance" not in q:
        return None
    meaning = "The error in proportion to the amount (mean gamma deviance): 0 is perfect, 0.1 about 30 % off."
    return Figure("Error in proportion", f"{q['gamma_deviance']:.3f}", meaning)


def _right(q: Quality, _: str) -> Figure | None:
    if "accuracy" not in q:
        return None
    return Figure("Right class", percent(q["accuracy"]), "The share of answers that name the true class.")


def _balanced(q: Quality, _: str) -> Figure | None:
    if "balanced_accuracy" not in q:
        return None
    meaning = (
        "The share found of each true class, averaged over classes, so that rare ones count as much as common ones."
    )
    return Figure("Right in each class", percent(q["balanced_accuracy"]), meaning)


def _kappa(q: Quality, _: str) -> Figure | None:
    if "kappa" not in q:
        return None
    meaning = "Agreement beyond chance, where a far miss counts more than a near one: 0 is guessing, 1 is perfect."
    return Figure("Agreement (kappa)", f"{q['kappa']:.2f}", meaning)


_FIGURES: Mapping[Task, tuple[Callable[[Quality, str], Figure | None], ...]] = {
    "binary": (_auc, _calibration, _brier),
    "amount": (_mae, _total, _deviance),
    "ordinal": (_right, _balanced, _kappa),
}
_HEADLINE: Mapping[Task, tuple[str, str]] = {
    "binary": ("auc", "ranking (AUC) {:.3f} with them, {:.3f} without"),
    "amount": ("mae", "typical error {:,.4g} with them, {:,.4g} without"),
    "ordinal": ("kappa", "agreement (kappa) {:.2f} with them, {:.2f} without"),
}


def _sharper(task: Task, q: Quality, optional: int) -> str:
    name, words = _HEADLINE[task]
    if not optional or f"required_only_{name}" not in q:
        return ""
    return words.format(q[name], q[f"required_only_{name}"])


def _limits(made: Manifest, optional: int) -> list[str]:
    limits = []
    if made.data.startswith("sample of"):
        limits.append("It was trained on generated rows, not on real ones: its figures say nothing about those.")
    limits.append("It knows what went together in its data, not what causes what: changing a field changes its answer, "
                  "not the world.")  # fmt: skip
    limits.append("It has not seen everything that a field allows: far outside what was common, an answer is a guess.")
    if optional:
        limits.append("An empty field is scored as missing: the fewer fields, the closer the answer to the average.")
    return limits
