"""Tries a page's `derive` on valid records, with and without gaps, so that its faults show when the page is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from math import isnan
from typing import Any

from scorehouse.pages.records import random_records, records_with_gaps, shown
from scorehouse.scoring.derivation import derivation
from scorehouse.scoring.field_schema import MOST
from scorehouse.scoring.schema import RecordSchema, Rejected
from scorehouse.usecase import Feature, Record, UseCase, as_it_is, plain, with_parts

RANDOM_RECORDS = 40
SEED = 15


def derive_faults(use_case: UseCase) -> Iterator[str]:
    """Yield the first fault of each kind: the field, the value, and the record that shows it."""
    schema = RecordSchema(use_case.features)
    names = {f.name for f in (*with_parts(use_case.features), *use_case.derived)}
    faults: dict[str, str] = {}
    for what, record in chain(
        records_with_gaps(use_case.features),
        (("a random valid record", record) for record in random_records(use_case, RANDOM_RECORDS, SEED)),
    ):
        checked = schema.check(record)
        if isinstance(checked, Rejected):  # no door would hand it to derive
            continue
        for kind, fault in _faults_of(use_case, checked, names):
            faults.setdefault(kind, f"{fault} for {what}: {shown(checked, 160)}")
    yield from faults.values()


def _faults_of(use_case: UseCase, record: dict[str, Any], names: set[str]) -> Iterator[tuple[str, str]]:
    """Yield each fault with what makes it one of a kind."""
    before = dict(record)
    derive = derivation(use_case.features, use_case.derive)
    try:
        derived = derive(record)
        again = derive(dict(before))
    except (Exception, SystemExit) as error:
        line = _line_in(use_case, error)
        missing = f" ({error})" if str(error) else ""
        yield f"raises {line}", f"derive raises {type(error).__name__}{missing}{line}"
        return
    if not isinstance(derived, Mapping):
        yield "returns", f"derive returns {shown(derived)}, not a record such as {{**record, …}},"
        return
    if record != before:
        yield "changes", "derive changes the record that it is given: return a new one, {**record, …},"
    for feature in use_case.derived:
        if feature.name not in derived:
            hint = _undeclared(derived, names)
            yield f"forgets {feature.name}", f"derive forgets {feature.name!r}{hint}"
        elif fault := value_fault(feature, derived[feature.name]):
            yield f"value {feature.name}", f"derive gives {feature.name!r} {fault}"
        elif not _same(derived[feature.name], again.get(feature.name)):
            both = f"{derived[feature.name]!r} and then {again.get(feature.name)!r}"
            yield f"again {feature.name}", f"derive gives {feature.name!r} {both}: it may use only the record,"
    for name in (name for name in derivation(use_case.features, as_it_is)(before) if name not in derived):
        yield f"drops {name}", f"derive drops {name!r}: return {{**record, …}},"


def value_fault(feature: Feature, value: Any) -> str | None:
    """What is wrong with a derived value, or None. Bounds are not judged: random records may lie at their ends."""
    value = plain(value)
    if value is None or (isinstance(value, float) and isnan(value)):
        return None if feature.nullable else f"{value!r}, although nullable=False,"
    if isinstance(value, bool):
        if feature.kind == "boolean":
            return None
        return f'the value {value!r}: declare it with kind="boolean",'
    if feature.kind == "category":
        known = isinstance(value, str | int | float) and value in feature.categories
        is_right = known or (feature.takes_any_level and isinstance(value, str | int))
    elif not isinstance(value, int | float):
        is_right = False
    elif feature.kind == "boolean":
        is_right = value in {0, 1}
    else:
        is_right = abs(value) <= MOST and (feature.kind == "number" or float(value).is_integer())
    wanted = {"boolean": "True or False", "number": "a finite number (of 32 bits)", "integer": "a whole number"}
    return (
        None if is_right else f"the value {shown(value)}, but it must be {wanted.get(feature.kind, feature.allowed)},"
    )


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) or (a != a and b != b)  # noqa: PLR0124 - NaN is not equal to itself


def _undeclared(derived: Record, names: set[str]) -> str:
    """The undeclared field in the result that was most likely meant."""
    unknown = sorted(key for key in derived if key not in names)
    return f", but returns the undeclared {unknown[0]!r}" if unknown else ""


def _line_in(use_case: UseCase, error: BaseException) -> str:
    """Where in the page `derive` failed: `, line 12`."""
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(f"use_cases/{use_case.name}.py"):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f" in line {lines[-1]}" if lines else ""
