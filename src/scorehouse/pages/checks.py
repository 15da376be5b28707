"""What is wrong with a page, found when it is loaded: each fault is one line that says what would be right.

pydantic checks the types of all declarations first; the functions below check whether the declarations fit together.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import ceil, floor
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from scorehouse.pages import families
from scorehouse.pages.records import shown
from scorehouse.pages.schedules import schedule_faults
from scorehouse.scoring.classes import CHANCES, chance_column
from scorehouse.scoring.figures import FIGURES
from scorehouse.scoring.nearest import KnownNames
from scorehouse.scoring.schema import ID_FIELDS, RecordSchema, Rejected
from scorehouse.usecase import Feature, Kind, Task, UseCase, as_it_is, with_parts

MOST_CLASSES = 100  # each one adds its chance to every answer
LEAST_TEST = 0.01  # the least share of rows that must be left to judge models
_ADAPTER = TypeAdapter(UseCase)
_MEANT: Mapping[Any, str] = {  # kinds that other libraries have
    "int": "integer", "float": "number", "numeric": "number", "bool": "boolean", "str": "category",
    "string": "category", "text": "category", "object": "category", "categorical": "category",
    "ordinal": "integer", "flag": "boolean", "binary": "boolean", "timestamp": "datetime", "time": "datetime",
    "datetime64": "datetime", "day": "date",
}  # fmt: skip
_TASKS = {"regression": "amount", "classification": "binary", "classes": "multiclass", "multi": "multiclass"}
_CALLED_WITH = {"clean": ("table",), "derive": ("record",), "sample": ("rows", "seed", "drift")}


def validated(use_case: UseCase) -> tuple[UseCase | None, list[str]]:
    """Return `use_case` with lists as tuples, or None and what is wrong with the types of its declarations."""
    try:
        return _ADAPTER.validate_python(use_case), []
    except ValidationError as error:
        found: dict[str, str] = {}
        for fault in error.errors(include_url=False):
            place = _place(use_case, fault["loc"])
            if place not in found or not fault["type"].startswith("dataclass"):  # a union reports each of its branches
                found[place] = f"{place} {_wanted(place, fault)}"
        return None, list(found.values())


def faults(use_case: UseCase) -> Iterator[str]:
    """Yield everything that is wrong with a page whose types are right."""
    found = list(_feature_faults((*use_case.features, *use_case.derived)))
    yield from found or _example_faults(use_case.features)
    yield from _name_faults(use_case)
    yield from _column_faults(use_case)
    yield from _class_faults(use_case)
    yield from _metric_faults(use_case)
    for estimator in use_case.estimators:
        for fault in families.faults(estimator, use_case.task):
            yield f"estimator {estimator.family!r}: {fault}"
    yield from _training_faults(use_case)
    yield from schedule_faults(use_case.schedule)
    for name, arguments in _CALLED_WITH.items():
        function = getattr(use_case, name)
        if function is not None and not _takes(function, arguments):
            yield f"{name} is called as {name}({', '.join(arguments)}), but takes other arguments"


def _feature_faults(features: tuple[Feature, ...]) -> Iterator[str]:
    for feature in features:
        for fault in (*_kind_faults(feature), *_bound_faults(feature), *_label_faults(feature)):
            yield f"feature {feature.name!r}: {fault}"
    for name in _repeated(f.name for f in features):
        yield f"the field {name!r} is declared twice"
    names = Counter(f.name for f in with_parts(features))
    for feature in features:
        for column in (c.name for c in feature.part_columns if names[c.name] > 1):
            yield f"the field {column!r} has the name of a part of {feature.name!r}: rename it, or remove the part"


def _example_faults(features: tuple[Feature, ...]) -> Iterator[str]:
    """Which examples a door would refuse. The declarations have no other fault."""
    examples = {f.name: f.example for f in features if f.example is not None}
    checked = RecordSchema(features).check(examples)
    refused = {error.field for error in checked.errors} if isinstance(checked, Rejected) else set()
    for feature in (f for f in features if f.name in examples and f.name in refused):
        yield f"feature {feature.name!r}: its example {feature.example!r} is not allowed (allowed: {feature.allowed})"


def _place(use_case: UseCase, path: tuple[int | str, ...]) -> str:
    """Where a fault is, in the page's own words: `feature 'age': low`."""
    first, *rest = path
    if first == "missing" and rest:
        return f"missing[{rest[0]}]"
    if first in {"features", "derived"} and rest:
        feature = getattr(use_case, str(first))[rest[0]]
        name = getattr(feature, "name", None)
        if len(rest) == 1:
            return f"{first}[{rest[0]}]"
        return f"feature {name!r}: {rest[1]}" if isinstance(name, str) else f"{first}[{rest[0]}].{rest[1]}"
    if first == "estimators" and rest:
        family = getattr(use_case.estimators[int(rest[0])], "family", None)
        what, *of = rest[1:3] or ("it",)
        return f"estimator {family!r}: {what}" + "".join(f"[{part!r}]" for part in of)
    return ".".join(str(part) for part in path if part not in {"float", "int", "str", "constrained-float"})


def _wanted(place: str, fault: Mapping[str, Any]) -> str:
    """What a value should be: pydantic's message in our words, with the value."""
    given, kind, message = fault["input"], fault["type"], str(fault["msg"])
    value = shown(given)
    if kind == "value_error":
        return f"is wrong: {message.removeprefix('Value error, ')}"
    if kind == "tuple_type":
        example = repr((given,)) if isinstance(given, str) else "(…,)"
        return f"must be a tuple, such as {example}, not {value}"
    if kind.startswith("dataclass"):
        wanted = (
            "a Range or a Choice"
            if ".space" in place or "space[" in place
            else f"made by {message.rpartition(' ')[2]}(…)"
        )
        return f"must be {wanted}, not {value}"
    if kind == "literal_error":
        allowed = str(fault["ctx"]["expected"])
        names = re.findall(r"'(.+?)'", allowed)
        meant = {frozenset(get_args(Kind)): _MEANT, frozenset(get_args(Task)): _TASKS}.get(frozenset(names), {})
        known = meant.get(str(given))
        nearest = f"; did you mean {known!r}?" if known else KnownNames(names).suggest(str(given))
        return f"must be {allowed}, not {value}{nearest}"
    if kind in {"too_short", "string_too_short"}:
        return "must not be empty"
    if kind == "missing":
        return "is missing"
    if place.startswith("missing["):
        return f"must be text or a number, not {value}"
    return f"{message.replace('Input should be', 'must be').replace('Input should', 'must')}, not {value}"


def _kind_faults(feature: Feature) -> Iterator[str]:
    categories = feature.categories
    if feature.name != feature.name.strip():
        yield "its name has blanks at an end"
    if feature.name in ID_FIELDS:
        yield "every record may have a field of this name already: give it another"
    if feature.is_learnt and feature.kind != "category":
        yield f'levels="learnt" is for kind="category", not {feature.kind!r}'
    elif feature.is_learnt and (categories or feature.labels):
        yield f'levels="learnt" needs no {"categories" if categories else "labels"}: remove one of them'
    elif feature.kind == "category" and not categories and not feature.is_learnt:
        yield 'a category needs categories, such as categories=("yes", "no"), or levels="learnt"'
    if feature.kind != "category" and categories:
        yield f'categories are for kind="category", not {feature.kind!r}'
    if feature.kind != "category" and feature.unseen == "missing":
        yield f'unseen="missing" is for kind="category", not {feature.kind!r}'
    if feature.parts and not feature.is_time:
        yield f'parts are for kind="date" and kind="datetime", not {feature.kind!r}'
    elif feature.kind == "date" and (clock := [part for part in feature.parts if part in {"hour", "minute"}]):
        yield f'a date has no {clock[0]}: use kind="datetime", or remove it from parts'
    for part in _repeated(feature.parts):
        yield f"parts has {part!r} twice"
    for text in _repeated(str(c).strip() for c in categories):
        same = ", ".join(repr(c) for c in categories if str(c).strip() == text)
        yield f"the categories {same} read the same in a table: keep one"
    for blank in (c for c in categories if isinstance(c, str) and c != c.strip()):
        yield f"the category {blank!r} has blanks at an end: write {blank.strip()!r}"


def _bound_faults(feature: Feature) -> Iterator[str]:
    low, high = feature.low, feature.high
    if low is None and high is None:
        return
    if feature.kind in {"category", "boolean"}:
        yield f"low and high are for numbers and dates, not for kind={feature.kind!r}"
    elif low is not None and high is not None and low > high:
        yield f"low={low} is above high={high}"
    elif feature.is_time and not ((low or 0) % 100 == 0 and (99 if high is None else high) % 100 == 99):
        yield f"a {feature.kind} is bounded by whole centuries, such as low=1900, high=2099"
    elif feature.kind == "integer" and low is not None and high is not None and ceil(low) > floor(high):
        yield f"no whole number is from {low} to {high}"


def _label_faults(feature: Feature) -> Iterator[str]:
    if not feature.labels:
        return
    if feature.kind == "number" or feature.is_time:
        yield f"labels are for categories, booleans and whole numbers, not for kind={feature.kind!r}"
        return
    for key, label in feature.labels.items():
        if feature.kind == "integer":
            low, high = (-(2**53) if feature.low is None else feature.low), (feature.high or 2**53)
            known = type(key) is int and low <= key <= high
        else:
            known = any(key == c and type(key) is type(c) for c in feature.choices)
        if not known:
            shown = feature.allowed.removesuffix(", or null") if feature.kind != "boolean" else "True and False"
            yield f"the label {label!r} is for {key!r}, which is not a value (values: {shown})"


def _name_faults(use_case: UseCase) -> Iterator[str]:
    fields = [f.name for f in (*with_parts(use_case.features), *use_case.derived)]
    for name in _repeated(use_case.inputs):
        yield f"inputs has {name!r} twice"
    for name in use_case.inputs:
        if name not in fields:
            yield f"inputs has {name!r}, which is not declared{KnownNames(fields).suggest(name)}"
    yield from _date_faults(use_case)
    if use_case.inputs and (unused := [f.name for f in use_case.derived if f.name not in use_case.inputs]):
        yield f"{unused[0]!r} is derived, but is not in inputs, so that no model sees it: add it or remove it"
    if use_case.answer in {"model_run_id", "prediction_id", "errors"}:
        yield f"answer must be another key than {use_case.answer!r}, which every answer may have"
    if use_case.envelope and use_case.envelope.features in {*fields, *ID_FIELDS}:
        yield f"envelope: features={use_case.envelope.features!r} is the name of a field, so plain records look wrapped"
    if use_case.envelope and use_case.envelope.answer == "customer_id":
        yield "envelope: answer must be another key than 'customer_id', which every wrapped answer has"


def _date_faults(use_case: UseCase) -> Iterator[str]:
    """Which dates no model can read, and which of their parts none sees."""
    dates = {f.name: f for f in (*use_case.features, *use_case.derived) if f.is_time}
    for date in (dates[name] for name in use_case.inputs if name in dates):
        instead = f"name its parts, such as {date.part_columns[0].name!r}" if date.parts else _READABLE
        yield f"inputs has the {date.kind} {date.name!r}, which no model can read: {instead}"
    for feature in (f for f in use_case.derived if f.is_learnt):
        yield f'{feature.name!r}: levels="learnt" is for features, not for derived ones'
    for feature in (f for f in use_case.derived if f.parts):
        yield f"{feature.name!r} is derived, and parts are for features: derive the parts too"
    unread = sorted(name for name, date in dates.items() if not date.parts)
    if unread and not use_case.derived:
        yield f"no model can read the {dates[unread[0]].kind} {unread[0]!r}: {_READABLE}"
    parts = [c.name for f in use_case.features for c in f.part_columns]
    unseen = [name for name in parts if name not in use_case.inputs]
    if use_case.inputs and unseen and use_case.derive is as_it_is:
        yield f"{unseen[0]!r} is a part, but is not in inputs, so that no model sees it: add it or remove the part"


_READABLE = 'give it parts, such as parts=("month", "weekday"), or derive a number from it'


def _column_faults(use_case: UseCase) -> Iterator[str]:
    """What is wrong with the target, the key and the date, as far as it can be said without the table."""
    target = use_case.target
    if target in {f.name for f in use_case.features}:
        yield f"the target {target!r} is among the features, so that the model is given the answer: remove it there"
    elif target in {f.name for f in with_parts(use_case.features)}:
        yield f"the target {target!r} has the name of a part of a date: rename it in clean, or remove the part"
    if target in {f.name for f in use_case.derived}:
        yield f"the target {target!r} is among the derived features: remove it there"
    for name in ("key", "dated", "split_by"):
        if getattr(use_case, name) == target:
            yield f"{name} is the target, {target!r}: name another column, or leave {name} empty"
        elif getattr(use_case, name) != getattr(use_case, name).strip():
            yield f"{name} is {getattr(use_case, name)!r}, with blanks at an end"
    kinds = {f.name: f.kind for f in use_case.features}
    if (kind := kinds.get(use_case.dated, "date")) not in {"date", "datetime"}:
        yield f"dated is {use_case.dated!r}, a feature of kind={kind!r}: name a column of days"
    if (kind := kinds.get(use_case.split_by, "date")) in {"category", "boolean"}:
        yield f"split_by is {use_case.split_by!r}, a feature of kind={kind!r}: name a column of days, times or numbers"
    for feature in use_case.table_features:
        for mark in (
            m for m in use_case.missing if str(m).casefold() in {str(c).casefold() for c in feature.categories}
        ):
            yield f"missing has {mark!r}, which is a category of {feature.name!r}: remove it from one of them"
    if use_case.download and not use_case.download.startswith(("https://", "http://")):
        yield f"download is {use_case.download!r}, not an address that begins with https:// or http://"


def _class_faults(use_case: UseCase) -> Iterator[str]:
    classes = use_case.classes
    if use_case.task != "multiclass":
        if classes:
            yield f'classes are for task="multiclass", not {use_case.task!r}'
        return
    if len(classes) < 3:
        more = ', or task="binary" for two' if len(classes) == 2 else ""
        yield f'the task "multiclass" needs classes, three or more, such as classes=("red", "green", "blue"){more}'
    if len(classes) > MOST_CLASSES:
        yield f"there are {len(classes)} classes, but at most {MOST_CLASSES} can be answered"
    for text in _repeated(str(c).strip().casefold() for c in classes):
        same = ", ".join(repr(c) for c in classes if str(c).strip().casefold() == text)
        yield f"the classes {same} read the same in a table: keep one"
    for blank in (c for c in classes if isinstance(c, str) and c != c.strip()):
        yield f"the class {blank!r} has blanks at an end: write {blank.strip()!r}"
    fields = {f.name for f in (*with_parts(use_case.features), *use_case.derived)}
    for name in (name for c in classes if (name := chance_column(c)) in fields):
        yield f"the field {name!r} has the name of a class's chance: rename it"
    if CHANCES in {use_case.answer, use_case.envelope and use_case.envelope.answer}:
        yield f"answer must be another key than {CHANCES!r}, under which the chances of the classes are"


def _metric_faults(use_case: UseCase) -> Iterator[str]:
    known = [figure.name for figure in FIGURES[use_case.task] if figure.better]
    for name in ("rank_by", "promote_by"):
        metric = getattr(use_case, name)
        if metric in known or (name == "promote_by" and not metric):
            continue
        others = [task for task, figures in FIGURES.items() if any(f.name == metric and f.better for f in figures)]
        of = f"which is for the task {others[0]!r}" if others else "by which models cannot be ranked"
        yield (
            f"{name} is {metric!r}, {of}{KnownNames(known).suggest(metric)} "
            f"(the task {use_case.task!r} has {', '.join(sorted(known))})"
        )


def _training_faults(use_case: UseCase) -> Iterator[str]:
    train, valid = use_case.split
    if 1 - train - valid < LEAST_TEST - 1e-9:
        left = max(1 - train - valid, 0)
        yield f"split={use_case.split} leaves {left:.1%} of the rows for the test: leave 1% or more, as in (0.7, 0.15)"
    if use_case.retrain_best > use_case.trials:
        yield f"retrain_best={use_case.retrain_best} is above trials={use_case.trials}"
    if use_case.mask_optional and all(f.required for f in use_case.features):
        yield "mask_optional has no effect, because every feature is required: remove it"
    if not use_case.promotes_to:
        yield 'promotes_to is empty, so no model could ever be promoted: name an alias, such as ("production",)'
    for alias in use_case.promotes_to:
        if not re.fullmatch("[a-zA-Z][a-zA-Z0-9_-]*", alias) or re.fullmatch("v[0-9]+|latest|serving", alias):
            yield (
                f"promotes_to has {alias!r}: an alias consists of letters, digits, _ and -, begins with a letter, and "
                "is neither latest, nor serving, nor a version such as v1"
            )
    for alias in _repeated(use_case.promotes_to):
        yield f"promotes_to has {alias!r} twice"


def _takes(function: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # a function of C, which has no signature
        return True
    return True


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
