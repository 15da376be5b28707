"""Every figure of quality, declared once: how it is computed, which direction is better, and how people read it.

To add one, add a `Figure` to FIGURES: training, promotion, the monitor and its metrics, the reports and the model's
card then have it. Functions take the truth (n,) and the predictions, both float64: (n,), or the chances of several
classes (n, classes), whose truth is the place of the class; a class that is newer than the model has a chance of 0.
Where a figure is undefined, they return NaN or raise ValueError, as scikit-learn does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scorehouse.usecase import Task

Vector = NDArray[np.float64]
Function = Callable[[Vector, Vector], float]
Values = Mapping[str, float]
CERTAIN = 1e-7  # log loss keeps chances this far from 0 and 1: a single sure mistake must not make it infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of quality of one task."""

    name: str  # in manifests, metrics and reports
    function: Function
    better: Literal["higher", "lower"] | None  # None: models cannot be ranked by it
    label: str  # its name in a sentence or a table
    meaning: str  # one sentence for people who do not know it
    on_card: bool = False  # whether the model's card shows it
    write: Callable[[float], str] = "{:.3f}".format  # its value on the card
    has_unit: bool = False  # whether it is in the unit of the answer
    details: Callable[[Values], str] | None = None  # a sentence with this model's figures, for the card


def percent(share: float) -> str:
    """Return a share as people read it: 16.9 %."""
    return f"{share * 100:.1f}\N{NO-BREAK SPACE}%"


def scikit_learn(name: str, **options: Any) -> Function:
    """Return the function `name` of scikit-learn's metrics.

    It is imported when it is first called, because the scorers, which only describe figures, do not have scikit-learn.
    """

    def function(truth: Vector, predicted: Vector) -> float:
        from sklearn import metrics

        return float(getattr(metrics, name)(truth, predicted, **options))

    return function


def log_loss(truth: Vector, chance: Vector) -> float:
    """Mean negative log likelihood of outcomes 0 or 1, with chances kept `CERTAIN` away from certainty."""
    return scikit_learn("log_loss", labels=[0, 1])(truth, np.clip(chance, CERTAIN, 1 - CERTAIN))


def auc(truth: Vector, score: Vector) -> float:
    """Area under the ROC curve; NaN where only one class occurs."""
    if truth.min() == truth.max():  # scikit-learn would warn
        return float("nan")
    return scikit_learn("roc_auc_score")(truth, score)


def calibration_error(truth: Vector, chance: Vector, bins: int = 10) -> float:
    """Expected calibration error: mean |chance - rate| over `bins` groups of equal size (scikit-learn has none)."""
    groups = np.array_split(np.argsort(chance, kind="stable"), min(bins, len(chance)))
    return float(sum(abs(chance[g].mean() - truth[g].mean()) * len(g) for g in groups) / len(chance))


def quadratic_kappa(truth: Vector, label: Vector) -> float:
    """Cohen's kappa, weighted by the squared distance of the classes; NaN where all is one class.

    scikit-learn takes the distance of the classes' places among those that occur, so it would depend on which classes
    are absent from the rows.
    """
    classes, counts = np.unique(label, return_counts=True)
    expected = ((truth[:, None] - classes[None, :]) ** 2 * (counts / len(label))).sum(axis=1).mean()
    return float(1 - np.mean((truth - label) ** 2) / expected) if expected > 0 else float("nan")


def balanced_accuracy(truth: Vector, label: Vector) -> float:
    """Mean recall of the classes that occur in the truth.

    `balanced_accuracy_score` gives the same value, but warns about predicted classes that are absent from the truth.
    """
    classes = np.unique(truth)
    return scikit_learn("recall_score", labels=classes, average="macro", zero_division=0.0)(truth, label)


def class_log_loss(truth: Vector, chances: Vector) -> float:
    """Mean negative log likelihood of the true classes, with chances kept `CERTAIN` away from certainty.

    scikit-learn's refuses a class without a column, which one that is newer than the model is.
    """
    kept = np.clip(chances, CERTAIN, 1 - CERTAIN)
    places = truth.astype(np.intp)
    is_known = places < chances.shape[1]
    of_truth = np.full(len(truth), CERTAIN)
    of_truth[is_known] = (kept / kept.sum(axis=1, keepdims=True))[is_known, places[is_known]]
    return float(-np.log(of_truth).mean())


def class_auc(truth: Vector, chances: Vector) -> float:
    """Mean over the classes that occur of the area under the ROC curve of a class's chance; NaN where only one does."""
    places = np.unique(truth).astype(np.intp)
    return float(np.mean([auc((truth == place).astype(np.float64), _chance_of(chances, place)) for place in places]))


def _chance_of(chances: Vector, place: int) -> Vector:
    """Return the chance of the class at `place`, (n,): 0 of one that is newer than the model."""
    return chances[:, place] if place < chances.shape[1] else np.zeros(len(chances))


def class_calibration_error(truth: Vector, chances: Vector) -> float:
    """The calibration error of the answered classes: of the highest chances, against how often they are right."""
    right = (chances.argmax(axis=1) == truth).astype(np.float64)
    return calibration_error(right, chances.max(axis=1))


def macro_f1(truth: Vector, label: Vector) -> float:
    """Mean F1 score of the classes that occur in the truth: the harmonic mean of precision and recall."""
    return scikit_learn("f1_score", labels=np.unique(truth), average="macro", zero_division=0.0)(truth, label)


def of_likeliest(function: Function) -> Function:
    """Return `function` of the class with the highest chance."""
    return lambda truth, chances: function(truth, chances.argmax(axis=1).astype(np.float64))


def predicted_over_true(truth: Vector, predicted: Vector) -> float:
    """Sum of the predictions over the sum of the outcomes; NaN where that is 0."""
    total = truth.sum()
    return float(predicted.sum() / total) if total else float("nan")


def at_half(function: Function) -> Function:
    """Return `function` of the class that a chance stands for: 1 from a half on."""
    return lambda truth, chance: function(truth, (chance >= 0.5).astype(np.float64))


mean_squared_error = scikit_learn("mean_squared_error")
root_mean_squared_error = scikit_learn("root_mean_squared_error")
mean_absolute_error = scikit_learn("mean_absolute_error")
gamma_deviance = scikit_learn("mean_gamma_deviance")
accuracy = scikit_learn("accuracy_score")

# In the order of tables and of the card. The first one stands for the model where there is room for one figure only.
FIGURES: Mapping[Task, tuple[Figure, ...]] = {
    "binary": (
        Figure(
            name="auc",
            function=auc,
            better="higher",
            label="AUC",
            meaning="How often a positive case gets a higher probability than a negative one: "
            "0.5 is guessing, 1 is perfect.",
            on_card=True,
            details=lambda values: f"This model ranks {values['auc'] * 100:.0f} of 100 pairs correctly.",
        ),
        Figure(
            name="log_loss",
            function=log_loss,
            better="lower",
            label="log loss",
            meaning="The average penalty, which is high when the model is confident and wrong: 0 is perfect.",
        ),
        Figure(
            name="calibration_error",
            function=calibration_error,
            better="lower",
            label="calibration error",
            meaning="How far predicted probabilities are from observed rates: cases are sorted into ten groups by "
            "probability, and the differences of the groups are averaged.",
            on_card=True,
            write=lambda value: f"± {value * 100:.1f} points",
            details=lambda values: (
                f"On average the model predicts {percent(values['mean_predicted'])}, "
                f"and it happened in {percent(values['mean_true'])} of cases."
            ),
        ),
        Figure(
            name="brier",
            function=mean_squared_error,
            better="lower",
            label="Brier score",
            meaning="The mean squared error of the probability: 0 is perfect.",
            on_card=True,
            details=lambda values: (
                f"Always answering the average would give {values['mean_true'] * (1 - values['mean_true']):.3f}."
            ),
        ),
        Figure(
            name="rmse",
            function=root_mean_squared_error,
            better="lower",
            label="RMSE",
            meaning="The root of the mean squared error of the probability: 0 is perfect.",
        ),
        Figure(
            name="accuracy",
            function=at_half(accuracy),
            better="higher",
            label="accuracy",
            meaning="The share of correct predictions, if a probability of one half or more counts as a yes.",
        ),
        Figure(
            name="kappa",
            function=at_half(quadratic_kappa),
            better="higher",
            label="kappa",
            meaning="Agreement beyond chance, if a probability of one half or more counts as a yes: "
            "0 is guessing, 1 is perfect.",
        ),
        Figure(
            name="mean_predicted",
            function=lambda _, chance: float(chance.mean()),
            better=None,
            label="mean prediction",
            meaning="The average probability: close to the mean outcome if the model is right overall.",
        ),
        Figure(
            name="mean_true",
            function=lambda truth, _: float(truth.mean()),
            better=None,
            label="mean outcome",
            meaning="How often it really happened.",
        ),
    ),
    "amount": (
        Figure(
            name="mae",
            function=mean_absolute_error,
            better="lower",
            label="mean absolute error",
            meaning="How far a prediction is off, on average.",
            on_card=True,
            write="{:,.4g}".format,
            has_unit=True,
        ),
        Figure(
            name="predicted_over_true",
            function=predicted_over_true,
            better=None,
            label="predicted over true",
            meaning="The sum of all predictions over the sum of all outcomes: "
            "1, or 100\N{NO-BREAK SPACE}%, is neither too high nor too low overall.",
            on_card=True,
            write=percent,
        ),
        Figure(
            name="gamma_deviance",
            function=gamma_deviance,
            better="lower",
            label="gamma deviance",
            meaning="The error in proportion to the amount: 0 is perfect, 0.1 is about 30\N{NO-BREAK SPACE}% off.",
            on_card=True,
        ),
        Figure(
            name="rmse",
            function=root_mean_squared_error,
            better="lower",
            label="RMSE",
            meaning="The root of the mean squared error, in which large misses count most.",
        ),
        Figure(
            name="bias",
            function=lambda truth, predicted: float(np.mean(predicted - truth)),
            better=None,
            label="bias",
            meaning="How much predictions are too high (or, if negative, too low), on average.",
        ),
    ),
    "ordinal": (
        Figure(
            name="kappa",
            function=quadratic_kappa,
            better="higher",
            label="kappa",
            meaning="Agreement beyond chance, where a far miss counts more than a near one: "
            "0 is guessing, 1 is perfect.",
            on_card=True,
            write="{:.2f}".format,
        ),
        Figure(
            name="accuracy",
            function=accuracy,
            better="higher",
            label="accuracy",
            meaning="The share of predictions that are the true class.",
            on_card=True,
            write=percent,
        ),
        Figure(
            name="balanced_accuracy",
            function=balanced_accuracy,
            better="higher",
            label="balanced accuracy",
            meaning="The share of each true class that is predicted correctly, averaged over the classes, "
            "so that rare classes count as much as common ones.",
            on_card=True,
            write=percent,
        ),
        Figure(
            name="mae",
            function=mean_absolute_error,
            better="lower",
            label="mean absolute error",
            meaning="How far a prediction is from the true class, on average.",
        ),
    ),
    "multiclass": (
        Figure(
            name="accuracy",
            function=of_likeliest(accuracy),
            better="higher",
            label="accuracy",
            meaning="The share of predictions that are the true class.",
            on_card=True,
            write=percent,
        ),
        Figure(
            name="balanced_accuracy",
            function=of_likeliest(balanced_accuracy),
            better="higher",
            label="balanced accuracy",
            meaning="The share of each true class that is predicted correctly, averaged over the classes, "
            "so that rare classes count as much as common ones.",
            on_card=True,
            write=percent,
        ),
        Figure(
            name="log_loss",
            function=class_log_loss,
            better="lower",
            label="log loss",
            meaning="The average penalty, which is high when the model is confident and wrong: 0 is perfect.",
            on_card=True,
        ),
        Figure(
            name="macro_f1",
            function=of_likeliest(macro_f1),
            better="higher",
            label="macro F1",
            meaning="For each true class, the harmonic mean of precision and recall, averaged over the classes: "
            "1 is perfect.",
            on_card=True,
        ),
        Figure(
            name="auc",
            function=class_auc,
            better="higher",
            label="AUC",
            meaning="How often a case of a class gets a higher probability of it than a case of another class, "
            "averaged over the classes: 0.5 is guessing, 1 is perfect.",
        ),
        Figure(
            name="calibration_error",
            function=class_calibration_error,
            better="lower",
            label="calibration error",
            meaning="How far the probabilities of the predicted classes are from how often they are right: cases are "
            "sorted into ten groups by probability, and the differences of the groups are averaged.",
            on_card=True,
            write=lambda value: f"± {value * 100:.1f} points",
        ),
    ),
}
BY_NAME: Mapping[str, Figure] = {figure.name: figure for task in FIGURES.values() for figure in task}


def figure_label(name: str) -> str:
    """Return a figure's name as people read it, also where no figure of that name is declared any more."""
    return BY_NAME[name].label if name in BY_NAME else name.replace("_", " ")
