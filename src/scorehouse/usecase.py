"""What a use case declares: its features, its target, how it is trained and judged, and a source of sample rows.

The annotations are also what pydantic checks when a page is loaded (`scorehouse.pages`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, with_config

from scorehouse.errors import UseCaseError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Clean = Callable[[pd.DataFrame], pd.DataFrame]
    Sample = Callable[[int, int, float], Mapping[str, np.ndarray]]
else:  # pydantic evaluates the annotations, and not every image has pandas
    Clean = Sample = Callable

Value = float | int | str | None  # Python counts a bool as an int
Record = Mapping[str, Value]
Task = Literal["binary", "amount", "ordinal", "multiclass"]
Kind = Literal["integer", "number", "category", "boolean", "date", "datetime"]
Part = Literal["year", "month", "day", "weekday", "day_of_year", "hour", "minute"]
Family = Literal["xgboost", "random_forest", "logistic", "ridge", "lasso", "svc"]
T = TypeVar("T")
_checked = with_config(ConfigDict(strict=True, revalidate_instances="always"))


def plain(value: Any) -> Any:
    """Return a value of NumPy as Python's: JSON has no other."""
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0 else value


def _as_json_holds_it(value: Any) -> Any:
    """Return a number of Python as JSON holds it: a whole number of more than 64 bits only as a float."""
    number = plain(value)
    if type(number) is not int or abs(number) < 2**63:
        return number
    try:
        return float(number)
    except OverflowError as error:
        raise ValueError("no float is as large, at most 1.8e308") from error


def _from_list(value: Any) -> Any:
    """Return a list as a tuple. A set has no order, and `("a")` is not a tuple: both are refused."""
    return tuple(plain(v) for v in value) if isinstance(value, list | tuple) else value


def _require_categories(values: Any) -> Any:
    """Raise ValueError for a category that JSON, a table and Python would not read alike."""
    faults = [_category_fault(value) for value in values] if isinstance(values, tuple | list) else []
    if fault := next(filter(None, faults), None):
        raise ValueError(fault)
    return values


def _category_fault(value: Any) -> str | None:
    if isinstance(value, bool):
        return f'{value} is a boolean: use kind="boolean", without categories'
    if value is None or value == "":
        return f"{value!r} is a missing value, not a category: nullable=True allows it"
    if isinstance(value, float):
        better = f"write {value:.0f}" if value.is_integer() else 'write it as text, or use kind="number"'
        return f"{value!r} is a fraction, not a category: {better}"
    return None


WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")  # by weekday, from 0
_PART_BOUNDS: Mapping[str, tuple[int, int]] = {
    "month": (1, 12), "day": (1, 31), "weekday": (0, 6), "day_of_year": (1, 366), "hour": (0, 23), "minute": (0, 59),
}  # fmt: skip
_WORDS = {
    "integer": "a whole number", "number": "a number", "date": "a date as YYYY-MM-DD",
    "datetime": "a date and time as YYYY-MM-DDThh:mm:ss",
}  # fmt: skip
Tuple = Annotated[tuple[T, ...], BeforeValidator(_from_list)]
Categories = Annotated[tuple[str | int, ...], BeforeValidator(_require_categories), BeforeValidator(_from_list)]
Name = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Finite = Annotated[int | Annotated[float, Field(allow_inf_nan=False)], BeforeValidator(_as_json_holds_it)]
Share = Annotated[float, Field(gt=0, lt=1)]


@_checked
@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One field of a record, or one derived from it.

    `required` means that a record must contain it (null is allowed where `nullable`). Bounds are physical limits, not
    the range seen in training: a record outside them is refused, one inside them is scored and checked for drift.
    A category has either declared `categories`, or `levels="learnt"`: then any text of at most 128 characters, or a
    whole number, is allowed. Training learns from its table what each level says about the target; a level that it has
    not seen counts as missing.
    A boolean is true or false in JSON, or 1 or 0; the model sees 1 or 0.
    A date is text, YYYY-MM-DD, and a datetime is text in ISO 8601, 2014-05-02T13:45:00: the seconds and their decimals
    may be left out, there may be a blank for the T, and Z or an offset after it. Both are bounded by whole centuries
    (1900 to 2099). The model never reads them, only their `parts`, as whole numbers: those of the local time as it is
    written, whatever the offset. A part is the column `<name>_<part>`, such as `bought_month`.
    """

    name: Name
    kind: Kind
    help: str
    required: bool = False
    nullable: bool = True
    low: Finite | None = None
    high: Finite | None = None
    categories: Categories = ()
    unseen: Literal["refuse", "missing"] = "refuse"
    levels: Literal["declared", "learnt"] = "declared"
    labels: Mapping[Any, str] = field(default_factory=dict, hash=False)  # what people read for a category or a code
    unit: str = ""
    parts: Tuple[Part] = ()  # of a date or datetime: the columns that the model sees of it
    example: Annotated[bool | Value, BeforeValidator(plain)] = None

    @property
    def is_time(self) -> bool:
        """Whether it is a date or a datetime, which no model can read but for its parts."""
        return self.kind in {"date", "datetime"}

    @property
    def is_learnt(self) -> bool:
        """Whether its levels come from the training table: thousands of them may, such as zip codes."""
        return self.levels == "learnt"

    @property
    def takes_any_level(self) -> bool:
        """Whether a level that nobody knows is scored, as if it were missing."""
        return self.is_learnt or self.unseen == "missing"

    @property
    def has_number_codes(self) -> bool:
        """Whether it is a category of whole numbers."""
        return self.kind == "category" and not self.is_learnt and all(isinstance(c, int) for c in self.categories)

    @property
    def part_columns(self) -> tuple[Feature, ...]:
        """The column of each part: a whole number, missing where the date is. Monday is weekday 0."""
        return tuple(self._part_column(part) for part in self.parts)

    def _part_column(self, part: Part) -> Feature:
        words = part.replace("_", " ")
        low, high = _PART_BOUNDS.get(part, (self.low, self.high))
        return Feature(
            name=f"{self.name}_{part}",
            kind="integer",
            help=f"{self.help}: {words}" if self.help else words,
            required=self.required,
            nullable=self.nullable,
            low=low,
            high=high,
            labels=dict(enumerate(WEEKDAYS)) if part == "weekday" else {},
        )

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of which a record has one: categories, labelled codes, or both booleans. Empty for other kinds."""
        return (True, False) if self.kind == "boolean" else self.categories or tuple(self.labels)

    @property
    def allowed(self) -> str:
        """The values that are allowed, in words: `a whole number from 18 to 120, or null`."""
        if self.is_learnt:
            words = "text of at most 128 characters, or a whole number"
        elif self.kind == "category":
            words = "one of " + ", ".join(repr(c) if isinstance(c, str) else str(c) for c in self.categories)
        elif self.kind == "boolean":
            words = "true or false"
        else:
            words = _WORDS[self.kind]
            bounds = [("from", self.low), ("to", self.high)]
            form = ".0f" if self.is_time else ",.15g"
            words += "".join(f" {word} {bound:{form}}" for word, bound in bounds if bound is not None)
        return words + (", or null" if self.nullable else "")


@_checked
@dataclass(frozen=True, slots=True)
class Range:
    """A search dimension: uniform from `low` to `high`, on a log scale or in whole steps if set."""

    low: Finite
    high: Finite
    log: bool = False
    integer: bool = False


@_checked
@dataclass(frozen=True, slots=True)
class Choice:
    """A search dimension with named options."""

    options: Annotated[Tuple[str | bool | int | float | None], Field(min_length=1)]


@_checked
@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """A family of models with its fixed parameters and the space that is searched.

    With `average` above 1, the model is the mean of that many of the best trials (of XGBoost: on the scale of the
    margin, so it is one booster).
    """

    family: Family
    space: Mapping[str, Range | Choice]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    average: Count = 1


def boosted_trees(objective: str) -> Estimator:
    """Return the mean of XGBoost's best trials in a space that suits most tables, for an objective like `reg:gamma`."""
    space: dict[str, Range | Choice] = {
        "learning_rate": Range(0.02, 0.3, log=True),
        "max_depth": Range(1, 8, integer=True),
        "min_child_weight": Range(0.01, 30, log=True),
        "subsample": Range(0.5, 1.0),
        "colsample_bynode": Range(0.2, 1.0),
        "reg_lambda": Range(0.01, 30, log=True),
    }
    # Amounts with little noise still gain after XGBoost's usual 800 rounds; for others, boosting stops earlier.
    return Estimator(family="xgboost", fixed={"objective": objective, "rounds": 2000}, space=space, average=3)


@_checked
@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """How a stream's records may be wrapped, and how their answers are. Plain records are accepted as well.

    `{<features>: {...}, "customer_id": 123}` is answered by
    `{"model": <use case>, "version": <run>, "prediction": {<answer>: ..., "customer_id": 123}}`.
    """

    features: Name
    answer: Name

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
        self, use_case: str, value: Mapping[str, Any], answer: Mapping[str, Any], run_id: str, prediction_id: str
    ) -> dict[str, Any]:
        """Return the answer to the wrapped `value`; `answer` is the prediction under the envelope's key.

        It has a prediction_id only where `value` has one.
        """
        wrapped: dict[str, Any] = {"model": use_case, "version": run_id}
        if "prediction_id" in value:
            wrapped["prediction_id"] = prediction_id
        wrapped["prediction"] = {**answer, "customer_id": value.get("customer_id")}
        return wrapped


@_checked
@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a use case is trained, and when the previous day is scored as a batch: cron, in the time of `timezone`."""

    train: str = ""  # every TRAINING_INTERVAL_MINUTES if empty
    score: str = ""  # only on request if empty
    timezone: str = "UTC"


def as_it_is(record: Record) -> Record:
    """Derive nothing."""
    return record


def with_parts(features: Iterable[Feature]) -> tuple[Feature, ...]:
    """Return the features, each followed by the columns of its parts."""
    return tuple(column for f in features for column in (f, *f.part_columns))


@_checked
@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """One use case, in one file. `version` changes only when the meaning of a field or derived feature changes."""

    name: Name
    version: Count
    title: str
    about: str  # who predicts what, and why: the first lines of the model's card
    source: str  # where the real table comes from, and its licence
    features: Annotated[Tuple[Feature], Field(min_length=1)]
    target: Name
    task: Task
    answer: Name  # the key of the prediction in an answer
    answer_unit: str = ""  # of an amount, as people read it
    classes: Categories = ()  # of the task "multiclass": what the target is one of, as answers name it
    key: str  # the column whose hash puts a row into training, validation or test, forever; "" for a row's content
    clean: Clean  # raw table -> features, target and key
    table: str = ""  # the raw table where DATA names none: a path, or s3://bucket/key
    sample: Sample | None = None  # (rows, seed, drift 0..1) -> raw table, which is used where there is no other
    estimators: Tuple[Estimator] = ()  # what the search tries; those of `pages.defaults` for the task if empty
    rank_by: str = ""  # the metric on validation rows by which trials compete; the one of the task if empty
    promote_by: str = ""  # the metric on test rows by which models compete for aliases; rank_by if empty
    promote_margin: Annotated[float, Field(ge=0, lt=1)] = 0.05  # by which share of a holder's figure a model must win
    promotes_to: Tuple[str] = ("production",)  # best first: a model that loses an alias gets the next one
    missing: Tuple[str | int | float] = ()  # marks of a missing value in the raw table, besides empty cells and NA
    derive: Callable[[Record], Record] = as_it_is  # one record, with its parts -> the same with its derived features
    derived: Tuple[Feature] = ()
    inputs: Tuple[str] = ()  # what the model sees, in order; all features (of dates: the parts), then derived, if empty
    sample_rows: Count = 10_000  # rows to train on if there is no table
    mask_optional: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0  # weight of copies without optional fields
    trials: Count = 50
    folds_below: Annotated[int, Field(ge=0)] = 5_000  # rows to learn from; fewer rank trials by cross-validation
    retrain_best: Count = 1
    envelope: Envelope | None = None  # how records of its stream may be wrapped
    dated: str = ""  # the column, YYYY-MM-DD, with the day of a row, if the table has one
    split_by: str = ""  # the column with the time of a row, if the newest rows judge models, not those of some keys
    schedule: Schedule = Schedule()
    download: str = ""  # the publisher's address, for make get-data
    split: tuple[Share, Share] = (0.70, 0.15)  # shares of training and validation; the rest is the test split

    @property
    def columns(self) -> tuple[Feature, ...]:
        """The features of the model's row, in order."""
        by_name = {f.name: f for f in (*with_parts(self.features), *self.derived)}
        if self.inputs:
            return tuple(by_name[name] for name in self.inputs)
        return tuple(f for f in by_name.values() if not f.is_time)

    @property
    def target_feature(self) -> Feature:
        """The target as a feature: a category where it has classes, and otherwise a number."""
        kind: Kind = "category" if self.classes else "number"
        return Feature(name=self.target, kind=kind, categories=self.classes, help="the target")

    @property
    def table_features(self) -> tuple[Feature, ...]:
        """What a raw table's columns are read as: the features, and the target where it is one of several classes."""
        return (*self.features, self.target_feature) if self.classes else self.features

    def table_at(self, data: str) -> str:
        """Return where the raw table is: at `data` (the setting DATA), or else the page's own; empty without both."""
        return data or self.table

    def draw_sample(self, rows: int, seed: int, drift: float = 0.0) -> Mapping[str, np.ndarray]:
        """Return a generated raw table.

        Raises:
            UseCaseError: the page has no `sample`, or it fails, or returns no columns of one length.
        """
        if self.sample is None:
            raise UseCaseError(f"use_cases/{self.name}.py has no sample, which could generate rows")
        called = f"use_cases/{self.name}.py: sample({rows}, {seed}, {drift:g})"
        try:
            drawn = self.sample(rows, seed, drift)
        except Exception as error:
            raise UseCaseError(f"{called} raises {type(error).__name__}: {error}") from error
        if not hasattr(drawn, "keys"):
            raise UseCaseError(f"{called} returns {type(drawn).__name__}, not a dict of columns")
        lengths = {name: len(drawn[name]) for name in drawn}
        if len(set(lengths.values())) > 1:
            raise UseCaseError(f"{called} returns columns of different lengths: {lengths}")
        return drawn
