"""What a field of a record must be: a type that pydantic checks, and its JSON Schema."""

from __future__ import annotations

from datetime import date, datetime
from math import ceil, floor
from typing import Annotated, Any, Literal, NotRequired, Required

from pydantic import AfterValidator, Field, GetPydanticSchema, Strict, WithJsonSchema
from pydantic_core import core_schema as cs

from scorehouse.usecase import Feature

_ID: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"}
_PREDICTION_ID = {
    "anyOf": [_ID, {"type": "null"}],
    "description": "Your own id for this prediction. The same record with it is stored once; another one is refused.",
}
_INTEGER = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
_CUSTOMER_ID = {"anyOf": [_ID, _INTEGER, {"type": "null"}], "description": "The customer that the prediction is about."}
_Text = Annotated[str, Field(strict=True, min_length=1, max_length=128, pattern=r"^[!-~]+$")]
_Name = Annotated[str, Field(strict=True, max_length=128)]  # a category that training may never have seen
_Whole = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
_EXACT = Field(strict=True, ge=-(2.0**53), le=2.0**53)  # larger floats may have been another number
UNKNOWN = "unknown"  # accepted for null in categories, because tables write it so
MOST = 3.4028234663852886e38  # the largest float32


_TEST = {
    "type": ["boolean", "null"],
    "description": "true marks a check: it is answered and stored, but counted in no figure",
}


def envelope() -> dict[str, Any]:
    """Return the fields that a record may have in addition to its features; none reaches the model.

    null is as if the field were absent: a table whose column has gaps sends it so.
    """
    customer = _Text | _Whole | Annotated[float, _EXACT, AfterValidator(_exactly_whole)] | None
    return {
        "prediction_id": NotRequired[Annotated[_Text | None, WithJsonSchema(_PREDICTION_ID)]],
        "customer_id": NotRequired[Annotated[customer, WithJsonSchema(_CUSTOMER_ID)]],
        "test": NotRequired[Annotated[Annotated[bool, Strict()] | None, WithJsonSchema(_TEST)]],
    }


def annotation(feature: Feature) -> Any:
    """Return the type of a feature's field in a TypedDict."""
    if feature.is_learnt:
        kind: Any = Annotated[_Name | _Whole, AfterValidator(str)]  # 98101 and "98101" are one level
    elif feature.kind == "category":
        known = _known(feature)
        kind = _one_of(known) if feature.unseen == "refuse" else _Name | _Whole
    elif feature.kind == "boolean":
        kind = _BOOLEAN
    elif feature.is_time:
        exists = _a_day if feature.kind == "date" else _a_time
        kind = Annotated[str, Field(strict=True, pattern=_time_pattern(feature)), AfterValidator(exists)]
    else:
        kind = _number(feature)
    allowed: Any = kind | None if feature.nullable else kind
    annotated = Annotated[allowed, WithJsonSchema(_json_schema(feature))]
    return Required[annotated] if feature.required else NotRequired[annotated]


def _json_schema(feature: Feature) -> dict[str, Any]:
    about = {"description": f"{feature.help} ({feature.unit})" if feature.unit else feature.help}
    if feature.example is not None:
        about["examples"] = [feature.example]  # type: ignore[assignment]
    if feature.kind == "category":
        values: dict[str, Any] = {"enum": list(_known(feature))}
        if feature.takes_any_level:
            values = {**_INTEGER, "type": ["string", "integer"], "maxLength": 128}
    elif feature.kind == "boolean":
        values = {"enum": [False, True, 0, 1]}
    elif feature.kind == "date":
        values = {"type": "string", "format": "date", "pattern": _time_pattern(feature)}
    elif feature.kind == "datetime":  # the format date-time demands an offset
        values = {"type": "string", "pattern": _time_pattern(feature)}
    else:
        low, high = _bounds(feature)
        values = {"type": feature.kind, "minimum": low, "maximum": high}
    return {"anyOf": [values, {"type": "null"}], **about} if feature.nullable else {**values, **about}


def _known(feature: Feature) -> tuple[str | int, ...]:
    """The categories that a record may have, with the word for a missing one."""
    unknown = feature.nullable and UNKNOWN not in feature.categories
    return (*feature.categories, UNKNOWN) if unknown else feature.categories


def _one_of(known: tuple[str | int, ...]) -> Any:
    """One of `known`. A boolean never is, although true equals 1 in Python; 1.0 is, as in JSON."""
    if not any(isinstance(c, int) for c in known):
        return Literal[known]
    plain = [cs.str_schema(strict=True), cs.int_schema(strict=True), cs.float_schema(strict=True)]
    chain = cs.chain_schema([cs.union_schema(list(plain)), cs.literal_schema(list(known))])
    return Annotated[Any, GetPydanticSchema(lambda *_: chain)]


def _boolean() -> Any:
    """True or false, or 1 or 0 (also 1.0 and 0.0, as JSON has one kind of number), which become true or false."""
    number = cs.union_schema([cs.int_schema(strict=True), cs.float_schema(strict=True)])
    to_bool = cs.no_info_plain_validator_function(bool)
    coded = cs.chain_schema([number, cs.literal_schema([0, 1]), to_bool])
    either = cs.union_schema([cs.bool_schema(strict=True), coded])
    return Annotated[Any, GetPydanticSchema(lambda *_: either)]


_BOOLEAN = _boolean()


def _bounds(feature: Feature) -> tuple[float, float]:
    """The feature's own bounds, or those of a float32, beyond which the model would see infinity."""
    return -MOST if feature.low is None else feature.low, MOST if feature.high is None else feature.high


def _number(feature: Feature) -> Any:
    low, high = _bounds(feature)
    number = Annotated[float, Field(strict=True, ge=low, le=high, allow_inf_nan=False)]
    if feature.kind == "number":
        return number
    integer = Annotated[int, Field(strict=True, ge=ceil(low), le=floor(high))]
    return Annotated[integer | Annotated[number, AfterValidator(_exactly_whole)], Field(union_mode="left_to_right")]


def _exactly_whole(number: float) -> float:
    """Raise ValueError unless `number` is exactly whole: pydantic's multiple_of accepts 1e-10."""
    if not number.is_integer():
        raise ValueError("not whole")
    return number


def _time_pattern(feature: Feature) -> str:
    """The pattern of a date or datetime within its centuries, which the published schema can state as well."""
    centuries = range(int(feature.low or 0) // 100, int(feature.high or 9999) // 100 + 1)
    clock = "" if feature.kind == "date" else _CLOCK
    return f"^(?:{'|'.join(f'{c:02d}' for c in centuries)})[0-9]{{2}}-[0-9]{{2}}-[0-9]{{2}}{clock}$"


_CLOCK = (
    "[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]{1,9})?)?"
    "(?:Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)?"
)


def _a_day(text: str) -> str:
    """Raise ValueError for a day that does not exist."""
    date.fromisoformat(text)
    return text


def _a_time(text: str) -> str:
    """Raise ValueError for a time on a day that does not exist."""
    datetime.fromisoformat(text)
    return text
