"""Forms made from the use case's features: the controls that a template shows, and the record that was typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from scorehouse.scoring.schema import RecordSchema, Rejected
from scorehouse.usecase import Feature, Value
from use_cases.insurance import FEATURES
from web_service.site.words import BIRTH, CHOICES, CUSTOMER_ID, WORDS, Words

Sections = tuple[tuple[str, tuple[str, ...]], ...]
Typed = Mapping[str, str]
NOT_KNOWN = "not known"
_NUMBER = re.compile(r"[0-9]{1,12}(?:[.,][0-9]{1,6})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SCHEMA = RecordSchema(FEATURES)
_BY_NAME = {feature.name: feature for feature in FEATURES}


@dataclass(frozen=True, slots=True)
class Control:
    """One field as a template shows it; `choices` are (value, label); `error` says what to correct, or is empty."""

    name: str
    words: Words
    kind: Literal["choice", "date", "number", "text"]
    choices: list[tuple[str, str]]
    value: str
    error: str


def controls(sections: Sections, typed: Typed, errors: Mapping[str, str]) -> list[tuple[str, list[Control]]]:
    """Return each section's heading and controls, with what was typed and what is wrong with it."""
    return [(head, [_control(name, typed, errors) for name in names]) for head, names in sections]


def record_of(sections: Sections, typed: Typed) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values that were typed, and the errors by field.

    A value is wrong if the schema that every door uses refuses it. Empty fields are left out of the values.
    """
    names = [name for _, fields in sections for name in fields if name != CUSTOMER_ID]
    values = {name: _value(_BY_NAME[name], text) for name in names if (text := typed.get(name, "").strip())}
    checked = _SCHEMA.check(values)
    wrong = {e.field for e in checked.errors if e.field in names} if isinstance(checked, Rejected) else set()
    errors = {name: _wrong(name, missing=name not in values) for name in names if name in wrong}
    if any(CUSTOMER_ID in fields for _, fields in sections) and not _ID.fullmatch(typed.get(CUSTOMER_ID, "").strip()):
        errors[CUSTOMER_ID] = _wrong(CUSTOMER_ID, missing=False)
    return values, errors


def contradictions(record: Mapping[str, Any], today: date) -> dict[str, str]:
    """Return errors by field for values that contradict each other; `record` has passed the schema."""
    birth, licence, renewal = (date.fromisoformat(record[f"Date_{d}"]) for d in ("birth", "driving_licence", "renewal"))
    errors = {}
    if birth > today:
        errors[BIRTH] = "This date is in the future. Enter the day you were born, such as 1985-03-20."
    elif licence.year - birth.year < 14:
        errors["Date_driving_licence"] = "This is before you turned 14. Please check this date and your date of birth."
    if licence > renewal:
        errors["Date_renewal"] = "Cover would start before your driving licence was issued. Please check both dates."
    if record["Year_matriculation"] > renewal.year:
        errors["Year_matriculation"] = "The vehicle would be registered after cover starts. Please check both."
    return errors


def typed_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Return a record as it would be typed, to prefill another form; a date of birth is never included."""
    return {
        name: NOT_KNOWN if value is None else f"{value:.15g}" if isinstance(value, float) else str(value)
        for name, value in record.items()
        if name in WORDS and name != BIRTH
    }


def summary(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the answers behind an offer, as (question, answer) in the words of the form, without personal dates."""
    personal = {BIRTH, "Date_driving_licence", CUSTOMER_ID}
    shown = [(name, typed_of(record)[name]) for name in WORDS if name in record and name not in personal]
    return [(WORDS[name].label, dict(_choices(_BY_NAME[name])).get(text, text)) for name, text in shown]


def _control(name: str, typed: Typed, errors: Mapping[str, str]) -> Control:
    feature = _BY_NAME.get(name)
    kind: Any = (
        "text" if feature is None else {"category": "choice", "integer": "number"}.get(feature.kind, feature.kind)
    )
    value = typed.get(name, "")
    if kind == "date" and value and not _DAY.fullmatch(value):
        kind = "text"  # a date control would drop text that is not a date
    return Control(name, WORDS[name], kind, _choices(feature) if feature else [], value, errors.get(name, ""))


def _choices(feature: Feature) -> list[tuple[str, str]]:
    labels: dict[Any, str] = {**feature.labels, **CHOICES.get(feature.name, {})}
    choices = [(str(c), labels[c][:1].upper() + labels[c][1:]) for c in feature.categories]
    return [*choices, (NOT_KNOWN, "I don't know")] if feature.nullable and feature.categories else choices


def _value(feature: Feature, text: str) -> Value:
    """Return what the schema checks: a number if one was typed, otherwise the text, which the schema refuses."""
    if feature.kind == "category":
        known: dict[str, Value] = {str(c): c for c in feature.categories}
        return None if text == NOT_KNOWN and feature.nullable else known.get(text, text)
    plain = re.sub(r"[ \u00a0\u202f]", "", text)
    if feature.kind == "date" or not _NUMBER.fullmatch(plain):
        return text
    if re.search(r"[.,][0-9]{3}$", plain):
        return text  # 17.600 or 17,600 may mean thousands or a fraction
    number = float(plain.replace(",", "."))
    return int(number) if number.is_integer() else number


def _wrong(name: str, missing: bool) -> str:
    if WORDS[name].wrong:
        return WORDS[name].wrong
    feature = _BY_NAME[name]
    if feature.kind == "category":
        return "Please choose one."
    bounds = f"Enter a number from {feature.low:,.0f} to {feature.high:,.0f}"
    return f"{bounds}." if missing else f"{bounds}, using digits only, such as {feature.example:.15g}."
