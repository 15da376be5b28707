"""Tensors of the Open Inference Protocol, version 2: records from named tensors, and tensors from answers.

https://github.com/kserve/open-inference-protocol (and, for binary tensors, Triton's extension).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np
import orjson

from scorehouse.scoring.classes import CHANCES, likeliest
from scorehouse.scoring.json_text import NotJson, TooManyParts, parse_json
from scorehouse.scoring.schema import ID_FIELDS
from scorehouse.serving.serving import Answer, Model
from scorehouse.usecase import Feature
from server.web.api.problems import Problem

RECORD = "record"  # an input whose elements are records as JSON
PREDICTION_ID = "prediction_id"
PLATFORM = "scorehouse"
_NUMBERS: Mapping[str, str] = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
DATATYPES = frozenset({*_NUMBERS, "BYTES"})
_KINDS = {"number": "FP64", "integer": "INT64", "boolean": "BOOL"}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named tensor: its values in row-major order. BYTES are text, None a missing value."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: list[Any]
    parameters: Mapping[str, Any] | None = None


def metadata(model: Model) -> dict[str, Any]:
    """Return the model's metadata: its version is the run that made it, and each feature is an input."""
    manifest = model.bundle.manifest
    return {
        "name": manifest.use_case,
        "versions": [model.run_id],
        "platform": PLATFORM,
        "inputs": [
            {"name": f.name, "datatype": _datatype(f), "shape": [-1], "parameters": {"required": f.required}}
            for f in model.bundle.features
        ],
        "outputs": [
            {"name": t.name, "datatype": t.datatype, "shape": [-1, *t.shape[1:]], **_parameters(t)}
            for t in outputs(model, [])
        ],
    }


def _datatype(feature: Feature) -> str:
    if feature.has_number_codes:
        return "INT64"
    return _KINDS.get(feature.kind, "BYTES")


def _parameters(tensor: Tensor) -> dict[str, Any]:
    return {"parameters": dict(tensor.parameters)} if tensor.parameters else {}


def records(tensors: Sequence[Tensor], features: Sequence[Feature], most: int) -> list[Any]:
    """Return the records that the inputs of a request hold: a tensor for each field, or one of records as JSON.

    Raises:
        Problem: 400 if the inputs have different lengths, more than one dimension, or two have one name; 413 if there
            are more than `most` records.
    """
    if not tensors:
        raise _bad("the request has no inputs")
    names = [tensor.name for tensor in tensors]
    if len(set(names)) != len(names):
        raise _bad("two inputs have the same name")
    counts = {rows_of(tensor.name, tensor.shape) for tensor in tensors}
    if len(counts) > 1:
        raise _bad("all inputs must have the same number of rows: shape [n] or [n, 1]")
    (count,) = counts
    if count > most:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request must not contain more than {most:,} records")
    if not count:
        raise _bad("the inputs have no rows")
    known = {feature.name: feature for feature in features}
    if names == [RECORD] and RECORD not in known:
        return [_parsed(place, value, most) for place, value in enumerate(tensors[0].values)]
    columns = [[_value(v, known.get(t.name)) for v in t.values] for t in tensors]
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None or name not in ID_FIELDS}
        for row in zip(*columns, strict=True)
    ]


def rows_of(name: str, shape: Sequence[int]) -> int:
    """Return how many rows an input of this shape has. Raises Problem (400) for any but [n] and [n, 1]."""
    if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
        return shape[0]
    raise _bad(f"the input {name[:80]!r} must have the shape [n] or [n, 1]: a value for each row")


def _parsed(place: int, text: Any, most: int) -> Any:
    if not isinstance(text, str):
        raise _bad(f"the input {RECORD!r} has records as JSON, in BYTES")
    try:
        return parse_json(text.encode(), 2 * most + 1000)
    except (NotJson, TooManyParts) as error:
        raise _bad(f"row {place} (counted from 0) {error}") from error


def _value(value: Any, feature: Feature | None) -> Any:
    """Return a tensor's element as a record has it: an integer from whole floats; NaN and empty text are missing."""
    if value is None or value == "" or (isinstance(value, float) and value != value):  # noqa: PLR0124 - NaN
        return None
    is_whole = feature is not None and (feature.kind == "integer" or _datatype(feature) == "INT64")
    return int(value) if is_whole and isinstance(value, float) and value.is_integer() else value


def outputs(model: Model, answers: Sequence[Answer]) -> list[Tensor]:
    """Return the answers as tensors: the prediction, the chances of several classes, and the ids."""
    manifest, n = model.bundle.manifest, len(answers)
    ids = Tensor(PREDICTION_ID, "BYTES", (n,), [a.prediction_id for a in answers])
    if not manifest.classes:
        datatype = "INT64" if manifest.task == "ordinal" else "FP64"
        return [Tensor(manifest.answer, datatype, (n,), [a.prediction for a in answers]), ids]
    chances: list[Any] = [a.prediction for a in answers]
    whole = all(isinstance(name, int) for name in manifest.classes)
    names: list[Any] = manifest.classes if whole else [str(name) for name in manifest.classes]
    classes = Tensor(manifest.answer, "INT64" if whole else "BYTES", (n,), [names[likeliest(c)] for c in chances])
    shape = (n, len(names))
    known = {"classes": orjson.dumps(manifest.classes).decode()}
    return [classes, Tensor(CHANCES, "FP64", shape, [c for row in chances for c in row], known), ids]


def from_json(given: Any, data: bytes, offset: int) -> tuple[Tensor, int]:
    """Return an input of a JSON request, and where the next one's binary data begins in `data`. Raises Problem: 400."""
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise _bad('an input must be {"name": …, "shape": […], "datatype": …, "data": […]}')
    name, datatype, shape = given["name"], given.get("datatype"), given.get("shape")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise _bad(f"the input {name[:80]!r} must have a datatype: one of {', '.join(sorted(DATATYPES))}")
    if not isinstance(shape, list) or not shape or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise _bad(f"the input {name[:80]!r} must have a shape: a list of whole numbers")
    rows_of(name, shape)  # before its values are read: shapes of many dimensions take seconds
    parameters = given.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        values = _flat(given.get("data"))
    elif type(size) is int and 0 <= size <= len(data) - offset:
        values = from_bytes(name, datatype, data[offset : offset + size])
        offset += size
    else:
        raise _bad(f"the input {name[:80]!r}: binary_data_size is not what follows the JSON")
    tensor = Tensor(name, datatype, tuple(shape), values)
    require_size(tensor)
    return tensor, offset


def require_size(tensor: Tensor) -> None:
    """Raise Problem (400) if a tensor has more or fewer values than its shape says."""
    if len(tensor.values) != rows_of(tensor.name, tensor.shape):
        shape = list(tensor.shape)
        raise _bad(f"the input {tensor.name[:80]!r} has {len(tensor.values):,} values, not those of its shape {shape}")


def _flat(data: Any) -> list[Any]:
    """Return the values of a JSON array: flat, or nested as [[1], [2]]."""
    if not isinstance(data, list):
        raise _bad("an input must have data: an array")
    values = [v for value in data for v in (value if isinstance(value, list) else [value])]
    if any(isinstance(value, dict | list) for value in values):
        raise _bad("an input's data must be numbers, booleans or text")
    return values


def from_bytes(name: str, datatype: str, content: bytes) -> list[Any]:
    """Return the values of a binary tensor: little-endian numbers, or texts of which each begins with its length.

    Raises:
        Problem: 400 if the bytes are no whole values, or text is not UTF-8.
    """
    if datatype == "BYTES":
        return _texts(name, content)
    try:
        values: list[Any] = np.frombuffer(content, _NUMBERS[datatype]).tolist()
    except ValueError as error:
        raise _bad(f"the input {name[:80]!r}: its {len(content):,} bytes are no whole {datatype} values") from error
    return values


def _texts(name: str, content: bytes) -> list[Any]:
    values, place = [], 0
    while place < len(content):
        if place + 4 > len(content):
            raise _bad(f"the input {name[:80]!r}: its bytes end within a length")
        (size,) = struct.unpack_from("<I", content, place)
        place += 4 + size
        if place > len(content):
            raise _bad(f"the input {name[:80]!r}: its bytes end within a text")
        values.append(text(name, content[place - size : place]))
    return values


def text(name: str, content: bytes) -> str:
    """Return the text of one element of BYTES. Raises Problem (400) if it is not UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise _bad(f"the input {name[:80]!r}: a text is not UTF-8") from error


def to_json(tensor: Tensor) -> dict[str, Any]:
    """Return an output as JSON."""
    about = {"name": tensor.name, "shape": list(tensor.shape), "datatype": tensor.datatype, **_parameters(tensor)}
    return {**about, "data": tensor.values}


def _bad(why: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, why)
