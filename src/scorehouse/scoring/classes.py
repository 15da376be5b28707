"""Predictions of several classes: the chance of each class, in the order in which the page declares the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scorehouse.scoring.scorer import Prediction

CHANCES = "chances"  # the key of an answer's chances
Classes = Sequence[str | int]


def chance_column(name: str | int) -> str:
    """Return the column of a class's chance, in tables and in drift."""
    return f"chance_of_{name}"


def likeliest(chances: Sequence[float]) -> int:
    """Return the place of the likeliest class, the first of equals."""
    return max(range(len(chances)), key=chances.__getitem__)


def to_answer(key: str, prediction: Prediction, classes: Classes) -> dict[str, Any]:
    """Return a prediction as clients read it: a number under `key`, or a class there and the chances beside it."""
    if not isinstance(prediction, list):
        return {key: prediction}
    return {key: classes[likeliest(prediction)], CHANCES: dict(zip(map(str, classes), prediction, strict=True))}
