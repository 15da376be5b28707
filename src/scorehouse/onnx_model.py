"""A bundle's model in ONNX Runtime: rows in, one number per row out, the same whatever the batch."""

from __future__ import annotations

import os
import threading
from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from scorehouse.encoding import Matrix
from scorehouse.scoring import Prediction

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # from 1.29 on it tells its maker about models, unless told not to
import onnxruntime

BLOCK = 1024  # rows scored at once: a support vector machine's kernel takes rows x vectors x 8 bytes

onnxruntime.set_default_logger_severity(3)


class Output(BaseModel):
    """Where the ONNX model's answer stands: an output's name and, for probabilities, the column."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    column: int | None = None


class OnnxModel:
    """Scores rows with ONNX Runtime on one thread, so that no answer depends on its batch."""

    def __init__(self, model: bytes, output: Output):
        """Load the model; whatever ONNX Runtime raises goes up."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._into, self._output = self._session.get_inputs()[0].name, output
        self._own = threading.local()

    def __call__(self, rows: Matrix) -> NDArray[Any]:
        """Return one number per row, shape (rows,)."""
        if len(rows) > BLOCK:
            return np.concatenate([self(rows[i : i + BLOCK]) for i in range(0, len(rows), BLOCK)])
        answer = self._session.run([self._output.name], {self._into: rows})[0]
        column = self._output.column
        return answer[:, column] if column is not None else answer.reshape(-1)  # type: ignore[no-any-return]

    def one(self, row: array[float]) -> Prediction:
        """Return the number of one row: the same as a batch's, for half its cost."""
        try:
            bound: _OneRow = self._own.row
        except AttributeError:
            bound = self._own.row = _OneRow(self._session, self._into, self._output, len(row))
        return bound(row)


class _OneRow:
    """One thread's buffers for single rows, bound once."""

    def __init__(self, session: Any, into: str, output: Output, width: int):
        row = np.zeros((1, width), np.float32)
        answer: NDArray[Any] = session.run([output.name], {into: row})[0]
        self._binding = session.io_binding()
        self._binding.bind_input(into, "cpu", 0, row.dtype, row.shape, row.ctypes.data)
        self._binding.bind_output(output.name, "cpu", 0, answer.dtype, answer.shape, answer.ctypes.data)
        self._row, self._answer = row.reshape(-1).data, answer.reshape(-1)
        self._place, self._run = output.column or 0, session.run_with_iobinding

    def __call__(self, row: array[float]) -> Prediction:
        self._row[:] = row
        self._run(self._binding)
        return self._answer.item(self._place)  # type: ignore[no-any-return]
