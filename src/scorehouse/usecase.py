"""What a use case declares: its features, its target, how it is trained and judged, and a source of sample rows."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from scorehouse.errors import UseCaseError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Value = float | int | str | None
Record = Mapping[str, Value]
Task = Literal["binary", "amount", "ordinal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One field of a record, or one derived from it.

    `required` means that a record must contain it (null is allowed where `nullable`). Bounds are physical limits, not
    the range seen in training: a record outside them is refused, one inside them is scored and checked for drift.
    A date is text, YYYY-MM-DD, and bounded by whole centuries (1900 to 2099); `derive` reads it, the model never does.
    """

    name: str
    kind: Literal["integer", "number", "category", "date"]
    help: str
    required: bool = False
    nullable: bool = True
    low: float | None = None
    high: float | None = None
    categories: tuple[str | int, ...] = ()
    unseen: Literal["refuse", "missing"] = "refuse"
    labels: Mapping[Any, str] = field(default_factory=dict, hash=False)  # what people read for a category or a code
    unit: str = ""
    example: Value = None

    @property
    def allowed(self) -> str:
        """The values that are allowed, in words: `a whole number from 18 to 120, or null`."""
        if self.kind == "category":
            words = "one of " + ", ".join(repr(c) if isinstance(c, str) else str(c) for c in self.categories)
        else:
            words = {"integer": "a whole number", "number": "a number", "date": "a date as YYYY-MM-DD"}[self.kind]
            bounds = [("from", self.low), ("to", self.high)]
            form = ".0f" if self.kind == "date" else ",.15g"
            words += "".join(f" {word} {bound:{form}}" for word, bound in bounds if bound is not None)
        return words + (", or null" if self.nullable else "")


@dataclass(frozen=True, slots=True)
class Range:
    """A search dimension: uniform from `low` to `high`, on a log scale or in whole steps if set."""

    low: float
    high: float
    log: bool = False
    integer: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A search dimension with named options."""

    options: tuple[str | float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """A family of models with its fixed parameters and the space that is searched."""

    family: Literal["xgboost", "random_forest", "ridge", "lasso", "svc"]
    space: Mapping[str, Range | Choice]
    fixed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """How a stream's records may be wrapped, and how their answers are. Plain records are accepted as well.

    `{<features>: {...}, "customer_id": 123}` is answered by
    `{"model": <use case>, "version": <run>, "prediction": {<answer>: ..., "customer_id": 123}}`.
    """

    features: str
    answer: str

    def holds(self, value: Any) -> bool:
        """Return whether `value` is wrapped."""
        return isinstance(value, dict) and self.features in value

    def unwrap(self, value: Any) -> Any:
        """Return the plain record in `value`, or `value` itself if it is not wrapped."""
        if not self.holds(value):
            return value
        features = value[self.features]
        others = {k: v for k, v in value.items() if k != self.features}
        return {**features, **others} if isinstance(features, dict) else features

    def wrap(
        self, use_case: str, value: Mapping[str, Any], prediction: float, run_id: str, prediction_id: str
    ) -> dict[str, Any]:
        """Return the answer to the wrapped `value`. It has a prediction_id only where `value` has one."""
        wrapped: dict[str, Any] = {"model": use_case, "version": run_id}
        if "prediction_id" in value:
            wrapped["prediction_id"] = prediction_id
        wrapped["prediction"] = {self.answer: prediction, "customer_id": value.get("customer_id")}
        return wrapped


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a use case is trained, and when the previous day is scored as a batch: cron, in the time of `timezone`."""

    train: str = ""  # every TRAINING_INTERVAL_MINUTES if empty
    score: str = ""  # only on request if empty
    timezone: str = "UTC"


def as_it_is(record: Record) -> Record:
    """Derive nothing."""
    return record


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """One use case, in one file. `version` changes only when the meaning of a field or derived feature changes."""

    name: str
    version: int
    title: str
    about: str  # who predicts what, and why: the first lines of the model's card
    source: str  # where the real table comes from, and its licence
    features: tuple[Feature, ...]
    target: str
    task: Task
    answer: str  # the key of the prediction in an answer
    answer_unit: str = ""  # of an amount, as people read it
    key: str  # the column whose hash puts a row into training, validation or test, forever
    clean: Callable[[pd.DataFrame], pd.DataFrame]  # raw table -> features, target and key
    sample: Callable[[int, int, float], Mapping[str, np.ndarray]]  # (rows, seed, drift 0..1) -> raw table
    estimators: tuple[Estimator, ...]
    rank_by: str  # the metric on validation rows by which trials compete
    promote_by: str = ""  # the metric on test rows by which models compete for aliases; rank_by if empty
    promote_margin: float = 0.05  # by which share of a holder's figure a model must be better to take its alias
    promotes_to: tuple[str, ...] = ("production",)  # best first: a model that loses an alias gets the next one
    derive: Callable[[Record], Record] = as_it_is  # one record -> the same with its derived features
    derived: tuple[Feature, ...] = ()
    inputs: tuple[str, ...] = ()  # what the model sees, in order; all features if empty
    sample_rows: int = 10_000  # rows to train on if there is no table
    mask_optional: float = 0.0  # weight of training copies without the optional features; 0 makes none
    trials: int = 50
    retrain_best: int = 1
    envelope: Envelope | None = None  # how records of its stream may be wrapped
    dated: str = ""  # the column, YYYY-MM-DD, with the day of a row, if the table has one
    schedule: Schedule = Schedule()
    download: str = ""  # the publisher's address, for make get-data
    split: tuple[float, float] = (0.70, 0.15)  # shares of training and validation; the rest is the test split

    def __post_init__(self) -> None:
        """Raise UseCaseError at import if the module contradicts itself."""
        names = [f.name for f in (*self.features, *self.derived)]
        twice = sorted({n for n in names if names.count(n) > 1})
        unknown = sorted(set(self.inputs) - set(names))
        empty = sorted(f.name for f in (*self.features, *self.derived) if f.kind == "category" and not f.categories)
        dates = sorted(f.name for f in self.columns if f.kind == "date") if not unknown else []
        for fault, which in (
            ("fields declared twice", twice),
            ("undeclared inputs", unknown),
            ("fields without categories", empty),
            ("a date cannot be an input: derive a number from it", dates),
        ):
            if which:
                raise UseCaseError(f"use case {self.name}: {fault}: {', '.join(which)}")

    @property
    def columns(self) -> tuple[Feature, ...]:
        """The features of the model's row, in order."""
        by_name = {f.name: f for f in (*self.features, *self.derived)}
        return tuple(by_name[name] for name in self.inputs) if self.inputs else self.features


def load_use_case(name: str) -> UseCase:
    """Return `use_cases/<name>.py`'s `use_case`.

    Raises:
        UseCaseError: there is no such module, or it declares no `use_case`.
    """
    try:
        module = importlib.import_module(f"use_cases.{name}")
    except ModuleNotFoundError as error:
        if error.name not in {"use_cases", f"use_cases.{name}"}:
            raise
        raise UseCaseError(f"USE_CASE is {name!r}, but there is no use_cases/{name}.py") from error
    use_case = getattr(module, "use_case", None)
    if not isinstance(use_case, UseCase):
        raise UseCaseError(f"use_cases/{name}.py declares no `use_case = UseCase(...)`")
    return use_case
