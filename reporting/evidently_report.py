"""Evidently's report of a window: its page, and its figures as JSON. It gets distributions, never a record."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from monitoring.evidently_service.drift.statistics import Floats, Sample, Table
from scorehouse.bundles.bundle import Manifest

if TYPE_CHECKING:
    import pandas as pd

FEWEST_OUTCOMES = 30  # with fewer, a page about quality shows noise
TRUE_CLASS, PREDICTED_CLASS = " true class", " predicted class"  # beside columns of classes, which begin with no blank
Labels = Mapping[str, Mapping[float, str]]
_MARKUP = re.compile(r"<(?=[a-zA-Z/!?])")  # `<5` is none


@dataclass(frozen=True, slots=True)
class EvidentlyReport:
    """A complete page that needs no network, and the figures in it."""

    html: str
    metrics: list[dict[str, Any]]


def comparable(reference: Table, window: Table) -> tuple[list[str], list[str]]:
    """Return the columns that Evidently can compare, and those that raise an error: one side has no value."""
    names = [name for name in reference.columns if name in window.columns]
    full = [n for n in names if len(reference.columns[n].present) and len(window.columns[n].present)]
    return full, [n for n in names if n not in full]


def drift_report(reference: Table, window: Table, labels: Labels) -> EvidentlyReport | None:
    """Return the drift report of the columns that have values in both tables; None where there is none.

    Each column is sorted by itself before Evidently gets it, so that no row of it is a person's record.
    """
    names, _ = comparable(reference, window)
    if not names:
        return None
    _, presets = _evidently()
    categories = [_harmless(n) for n in names if reference.columns[n].kind == "category"]
    numbers = [_harmless(n) for n in names if reference.columns[n].kind != "category"]
    sides = (_frame({n: t.columns[n] for n in names}, labels) for t in (window, reference))
    kinds = {"numerical_columns": numbers, "categorical_columns": categories}
    return _run(presets.DataDriftPreset, kinds, *sides)


def quality_report(
    manifest: Manifest, reference: tuple[Floats, Floats], window: tuple[Floats, Floats]
) -> tuple[EvidentlyReport | None, str]:
    """Return the quality report of (outcomes, predictions), compared with the reference's; or None and the reason.

    The outcomes are real ones, never estimates.
    """
    outcomes, _ = window
    if len(outcomes) < FEWEST_OUTCOMES:
        return (
            None,
            f"Evidently's page about quality needs {FEWEST_OUTCOMES} outcomes; {len(outcomes)} are known.",
        )
    task = manifest.task
    if task in {"binary", "multiclass"} and len(np.unique(outcomes)) < 2:
        both = "both classes" if task == "binary" else "two classes"
        return None, f"Evidently's page about quality needs outcomes of {both}, but only one class occurs."
    import pandas as pd

    evidently, presets = _evidently()
    if task == "multiclass":
        names = [_harmless(str(name)) for name in manifest.classes]
        classes = evidently.MulticlassClassification(
            target=TRUE_CLASS, prediction_labels=PREDICTED_CLASS, prediction_probas=names
        )
        kinds = {
            "categorical_columns": [TRUE_CLASS, PREDICTED_CLASS],
            "numerical_columns": names,
            "classification": [classes],
        }
        return _run(
            presets.ClassificationPreset, kinds, *(_class_frame(*side, names) for side in (window, reference))
        ), ""
    sides = [pd.DataFrame({"outcome": o, "prediction": p}) for o, p in (window, reference)]
    if task == "binary":
        sides = [side.astype({"outcome": int}) for side in sides]
        chance = evidently.BinaryClassification(target="outcome", prediction_probas="prediction", pos_label=1)
        kinds = {"categorical_columns": ["outcome"], "numerical_columns": ["prediction"], "classification": [chance]}
        return _run(presets.ClassificationPreset, kinds, *sides), ""
    amount = evidently.Regression(target="outcome", prediction="prediction")
    kinds = {"numerical_columns": ["outcome", "prediction"], "regression": [amount]}
    return _run(presets.RegressionPreset, kinds, *sides), ""


def _class_frame(outcomes: Floats, chances: Floats, names: list[str]) -> pd.DataFrame:
    import pandas as pd

    known = outcomes < len(names)  # a class that is newer than the model has no chance to show
    outcomes, chances = outcomes[known], chances[known]
    columns = {TRUE_CLASS: outcomes.astype(int), PREDICTED_CLASS: chances.argmax(axis=1)}
    named = {column: [names[place] for place in places] for column, places in columns.items()}
    return pd.DataFrame({**named, **dict(zip(names, chances.T, strict=True))})


def _evidently() -> tuple[Any, Any]:
    """Import Evidently and its presets, which takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it touches numpy.core
        import evidently
        from evidently import presets
    return evidently, presets


def _run(preset: Any, kinds: dict[str, Any], window: pd.DataFrame, reference: pd.DataFrame) -> EvidentlyReport:
    evidently, _ = _evidently()
    definition = evidently.DataDefinition(**kinds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Evidently's own, about constants and single rows
        sides = [evidently.Dataset.from_pandas(side, definition) for side in (window, reference)]
        snapshot = evidently.Report([preset()]).run(*sides)
        return EvidentlyReport(snapshot.get_html_str(as_iframe=False), json.loads(snapshot.json())["metrics"])


def _frame(columns: Mapping[str, Sample], labels: Labels) -> pd.DataFrame:
    """Each column's values, then its missing ones; categories by the labels that people read."""
    import pandas as pd

    rows = max(sample.rows for sample in columns.values())
    frame = {}
    for name, sample in columns.items():
        values: list[Any] = sample.present.tolist()
        kind: type = float
        if sample.kind == "category":
            kind = object
            values = [_harmless(labels.get(name, {}).get(v, str(v))) for v in values]
        frame[_harmless(name)] = pd.Series(values + [None] * (rows - len(values)), dtype=kind)
    return pd.DataFrame(frame)


def _harmless(text: str) -> str:
    """Return `text` without markup: Evidently writes it as it is into a script of its page, which `</script>` ends."""
    return _MARKUP.sub("< ", text)
