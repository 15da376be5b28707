"""Messages of the protocol, from and to the tensors that the REST routes have as well."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import numpy as np

from server.web.api import tensors
from server.web.api.problems import Problem
from server.web.api.tensors import Tensor
from server.web.rpc import inference_pb2

pb: Any = inference_pb2  # generated, without types
_CONTENTS: Mapping[str, str] = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip


def read_inputs(request: Any) -> list[Tensor]:
    """Return the inputs of a request, typed or raw. Raises Problem (400)."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise _bad(f"the request has {len(request.inputs)} inputs, but {len(raw)} raw contents")
    found = []
    for place, given in enumerate(request.inputs):
        if given.datatype not in tensors.DATATYPES or any(n < 0 for n in given.shape) or not given.shape:
            raise _bad(f"the input {given.name[:80]!r} must have a shape and one of the protocol's datatypes")
        if raw:
            values = tensors.from_bytes(given.name, given.datatype, raw[place])
        else:
            values = _typed(given.name, given.datatype, given.contents)
        tensor = Tensor(given.name, given.datatype, tuple(given.shape), values)
        tensors.require_size(tensor)
        found.append(tensor)
    return found


def _typed(name: str, datatype: str, contents: Any) -> list[Any]:
    if datatype not in _CONTENTS:
        raise _bad(f"the input {name[:80]!r}: {datatype} has raw contents only")
    values = list(getattr(contents, _CONTENTS[datatype]))
    return [tensors.text(name, value) for value in values] if datatype == "BYTES" else values


def to_response(run_id: str, request: Any, outputs: Sequence[Tensor]) -> Any:
    """Return the answer to a request: raw where the request is, else typed."""
    response = pb.ModelInferResponse(model_name=request.model_name, model_version=run_id, id=request.id)
    for output in outputs:
        written = response.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
        _add_parameters(written.parameters, output.parameters or {})
        if request.raw_input_contents:
            response.raw_output_contents.append(_raw(output))
        else:
            values = [v.encode() for v in output.values] if output.datatype == "BYTES" else output.values
            getattr(written.contents, _CONTENTS[output.datatype]).extend(values)
    return response


def _raw(output: Tensor) -> bytes:
    if output.datatype == "BYTES":
        texts = [value.encode() for value in output.values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return np.array(output.values, dtype={"INT64": "<i8", "FP64": "<f8"}[output.datatype]).tobytes()


def to_metadata(about: Mapping[str, Any]) -> Any:
    """Return a model's metadata (`tensors.metadata`) as a message."""
    plain = {name: about[name] for name in ("name", "versions", "platform")}
    response = pb.ModelMetadataResponse(**plain)
    for side in ("inputs", "outputs"):
        for one in about[side]:
            written = getattr(response, side).add(name=one["name"], datatype=one["datatype"], shape=one["shape"])
            _add_parameters(written.parameters, one.get("parameters", {}))
    return response


def _add_parameters(written: Any, parameters: Mapping[str, Any]) -> None:
    for name, value in parameters.items():
        kind = "bool_param" if isinstance(value, bool) else "string_param"
        written[name].CopyFrom(pb.InferParameter(**{kind: value}))


def _bad(why: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, why)
