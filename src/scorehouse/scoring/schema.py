"""What a record must be, from its features: a fast check, helpful errors, and JSON Schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from scorehouse.scoring.envelopes import find_record
from scorehouse.scoring.field_schema import annotation, envelope
from scorehouse.scoring.nearest import KnownNames
from scorehouse.usecase import Feature

ID_FIELDS = tuple(envelope())
MOST_UNKNOWN = 5  # unknown fields that are named for one record, so that a body full of them costs little
MOST_COMPARED = 50  # names of a record that are compared with the model's
ALIKE = 0.6  # likeness from which a name is one of the model's, misspelt
MOST_FIELDS = 8  # of the model that are named
MORE_UNKNOWN = "more fields are not known"  # without their number: the sender chooses it, and reasons are counted


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong: its value, what is allowed and, for an unknown name, the known one that it is like."""

    field: str
    value: Any
    problem: str
    allowed: str
    nearest: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be scored, with every reason, and what to do where a reason alone does not say it."""

    errors: tuple[FieldError, ...]
    advice: str = ""

    @property
    def reason(self) -> str:
        """All errors in one line, without the values (they may be personal)."""
        why = "; ".join(f"{e.field}: {e.problem}" if e.field else e.problem for e in self.errors)
        return f"{why}: {self.advice}" if self.advice else why

    def to_json(self, most: int | None = None) -> list[dict[str, Any]]:
        """Return the errors as JSON objects, or the first `most` of them."""
        return [{k: v for k, v in asdict(e).items() if v is not None or k == "value"} for e in self.errors[:most]]


FOREIGN = FieldError("", None, "has no field of this model", "a JSON object with the fields of this model")


class RecordSchema:
    """Checks records against features. Dates and times are text, and 50.0 is a whole number.

    Values stay as they are, except for a boolean that is sent as 1 or 0.
    """

    def __init__(self, features: Iterable[Feature]) -> None:
        """Build the validator once; a check then takes about a microsecond."""
        self.features = {f.name: f for f in features}
        self._adapter = _adapter(tuple(self.features.values()))
        self._validate = self._adapter.validator.validate_python
        self._names = frozenset((*self.features, *ID_FIELDS))
        self._known = KnownNames(self._names)

    def check(self, record: object) -> dict[str, Any] | Rejected:
        """Return the record, or every reason why it cannot be scored: all of known fields, a few of unknown ones."""
        left_out: frozenset[str] = frozenset()
        if type(record) is dict and len(record) > len(self._names):
            unknown = [name for name in record if name not in self._names]
            left_out = frozenset(unknown[MOST_UNKNOWN:])  # the validator would describe each of them
            record = {name: value for name, value in record.items() if name not in left_out}
        try:
            checked: dict[str, Any] = self._validate(record)
        except ValidationError as error:
            if type(record) is dict and (advice := self._advise(record)):
                return Rejected((FOREIGN,), advice)
            return Rejected(tuple(self._explain(record, error, bool(left_out))))
        return checked

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema (2020-12) of one record."""
        return self._adapter.json_schema()

    def _advise(self, record: dict[str, Any]) -> str:
        """Return what to send instead of an object without any field of the model; empty if it is a record.

        It is one if a name is only misspelt, unless what its sender meant is inside.
        """
        if not self.features.keys().isdisjoint(record):
            return ""
        unknown = [name for name in islice(record, MOST_COMPARED) if name not in self._names]
        place = find_record(record, self.features.keys())
        if not unknown or not (place or all(self._known.likeness(name[:80]) < ALIKE for name in unknown)):
            return ""
        names = sorted(self.features, key=lambda name: not self.features[name].required)
        shown = ", ".join(names[:MOST_FIELDS]) + (", …" if len(names) > MOST_FIELDS else "")
        return f"its fields are {shown}" + (f"; send what is in {place} as a record of its own" if place else "")

    def _explain(self, record: object, error: ValidationError, more: bool) -> Iterable[FieldError]:
        if not isinstance(record, Mapping):
            why = "is not a record"
            if isinstance(record, str):
                why = "is a text, not a record: encode it as JSON once"
            elif isinstance(record, list):
                why = "is a list without any record: send JSON objects"
            yield FieldError("", _shown(record), why, "a JSON object of named fields")
            return
        seen, unknown = set(), 0
        for fault in error.errors(include_url=False, include_context=False):
            name, kind = str(fault["loc"][0]), fault["type"]
            unknown += kind == "extra_forbidden"
            if name in seen or (kind == "extra_forbidden" and unknown > MOST_UNKNOWN):
                continue  # a union reports each of its branches
            seen.add(name)
            yield self._field_error(name, kind, fault["input"])
        if more or unknown > MOST_UNKNOWN:
            yield FieldError("", None, MORE_UNKNOWN, "a field of this model")

    def _field_error(self, name: str, kind: str, value: Any) -> FieldError:
        if kind == "extra_forbidden":
            nearest = self._known.nearest(name) or None
            return FieldError(_shown(name), _shown(value), "is not a known field", "a field of this model", nearest)
        if name in self.features:
            allowed = self.features[name].allowed
        else:
            allowed = "1 to 128 visible ASCII characters" + (", a 64-bit integer" if name == "customer_id" else "")
            allowed = f"{'true, false' if name == 'test' else allowed}, or null"
        if kind == "missing":
            return FieldError(name, None, "is missing", allowed)
        return FieldError(name, _shown(value), "is not allowed", allowed)


@lru_cache(maxsize=16)
def _adapter(features: tuple[Feature, ...]) -> TypeAdapter[dict[str, Any]]:
    """The validator of a record; bundles with the same features share it."""
    fields = {f.name: annotation(f) for f in features} | envelope()
    record = with_config(ConfigDict(extra="forbid"))(TypedDict("Record", fields))  # type: ignore[operator]
    return TypeAdapter(record)


def _shown(value: Any) -> Any:
    """A value as an error shows it: short, and never a structure."""
    if isinstance(value, str):
        return value if len(value) <= 80 else value[:79] + "…"
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return f"an integer of {len(str(abs(value)))} digits"
    return value if value is None or isinstance(value, bool | int | float) else type(value).__name__
