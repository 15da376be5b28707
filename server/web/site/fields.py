"""The fields of the form and of the documentation, made from the model's features."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import orjson

from scorehouse.bundles.bundle import Bundle
from scorehouse.pages.records import example_value
from scorehouse.usecase import Feature, Value

Control = Literal["choice", "text", "integer", "number", "date", "datetime"]
USUAL = (0.05, 0.95)  # the quantiles of the reference between which a value is usual


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `choices` are (JSON value, label); `value` is what it holds at first, `""` for nothing."""

    name: str
    label: str
    hint: str
    allowed: str
    unit: str
    usual: str  # `26 to 65`; empty if the reference does not show it
    required: bool
    nullable: bool
    control: Control
    choices: list[tuple[str, str]]
    meanings: str  # of codes that need explaining: `0 Uneducated, 1 High School`
    value: str
    placeholder: str


def fields(bundle: Bundle) -> list[Field]:
    """Return the fields of the bundle's records, in order."""
    places = {c.name: i for i, c in enumerate(bundle.encoder.columns)}
    return [
        field(f, _usual(f, bundle.reference.rows[:, places[f.name]]) if f.name in places else "")
        for f in bundle.features
    ]


def field(feature: Feature, usual: str = "") -> Field:
    """Return the field of `feature`. An optional one starts empty, so that the answer is to what is shown."""
    example = example_value(feature)
    coded = feature.choices
    shown = f"{example:.15g}" if isinstance(example, float) else f"{example}"
    if feature.kind == "datetime":
        shown = _local(shown)
    return Field(
        name=feature.name,
        label=feature.help or feature.name,
        hint="" if coded else _hint(feature, usual),
        allowed=feature.allowed,
        unit=feature.unit,
        usual="" if coded else usual,
        required=feature.required,
        nullable=feature.nullable,
        control=_control(feature),
        choices=[(_json(c), _label(feature, c)) for c in coded],
        meanings=", ".join(
            f"{_word(c)} {label}" for c, label in feature.labels.items() if _word(c).lower() != label.lower()
        ),
        value="" if not feature.required else _json(example) if coded else shown,
        placeholder="" if coded or feature.required else f"such as {shown}",
    )


def _control(feature: Feature) -> Control:
    if feature.is_learnt:
        return "text"
    if feature.choices or feature.kind == "category" or feature.kind == "boolean":  # noqa: PLR1714 - mypy narrows
        return "choice"
    return feature.kind


def _local(text: str) -> str:
    """Return a datetime as a browser's control holds it: local, to the second."""
    return datetime.fromisoformat(text).replace(tzinfo=None).isoformat(timespec="seconds")


def _usual(feature: Feature, seen: np.ndarray[tuple[int], np.dtype[np.float32]]) -> str:
    known = seen[~np.isnan(seen)]
    if feature.kind in {"category", "boolean"} or not len(known):
        return ""
    low, high = np.quantile(known, USUAL, method="nearest").tolist()
    # Four digits have no comma, because they may be a year.
    return f"{low:.4g} to {high:.4g}" if max(abs(low), abs(high)) < 1e4 else f"{low:,.0f} to {high:,.0f}"


def _hint(feature: Feature, usual: str) -> str:
    """The unit and what is usual; what is allowed is shown when a value is wrong."""
    return ", ".join(filter(None, [feature.unit, f"mostly {usual}" if usual else ""]))


def _label(feature: Feature, choice: Value) -> str:
    unlabelled = choice if feature.kind != "boolean" else "yes" if choice else "no"
    label = str(feature.labels.get(choice, unlabelled))
    return label[:1].upper() + label[1:]


def _word(choice: Value) -> str:
    """A category as it is written in a request, without quotes."""
    return choice if isinstance(choice, str) else _json(choice)


def _json(value: Value) -> str:
    return orjson.dumps(value).decode()
