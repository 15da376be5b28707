"""A bundle's model in ONNX Runtime: rows in, one number (or chances) per row out, which no batch changes."""

from __future__ import annotations

import os
import threading
from array import array
from math import exp
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from scorehouse.scoring.encoding import Matrix
from scorehouse.scoring.scorer import Prediction, PredictOne

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # from 1.29 on it reports models to its maker unless this is set
import onnxruntime

BLOCK = 1024  # rows scored at once: a support vector machine's kernel takes rows x vectors x 8 bytes

onnxruntime.set_default_logger_severity(3)


class Output(BaseModel):
    """Where the answer is in the model's outputs: a name, a column if there are several, `link` if it is in log odds.

    Several columns without `column` are the chances of several classes.
    Older doors reject an unknown `link`, so it is written only when needed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    column: int | None = None
    link: Literal["logit"] | None = Field(default=None, exclude_if=lambda link: link is None)


def _chance(log_odds: float) -> float:
    odds = exp(-abs(log_odds))  # of the less likely class, so that exp does not overflow
    return (1.0 if log_odds >= 0 else odds) / (1.0 + odds)


class OnnxModel:
    """Scores rows with ONNX Runtime on one thread, so that no answer depends on its batch."""

    def __init__(self, model: bytes, output: Output):
        """Load the model. Raises what ONNX Runtime raises."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._into, self._output = self._session.get_inputs()[0].name, output
        self._own = threading.local()

    def __call__(self, rows: Matrix) -> NDArray[Any]:
        """Return one number per row, shape (rows,), or the chances of several classes, (rows, classes)."""
        if len(rows) > BLOCK:
            return np.concatenate([self(rows[i : i + BLOCK]) for i in range(0, len(rows), BLOCK)])
        answer = self._session.run([self._output.name], {self._into: rows})[0]
        column = self._output.column
        if column is None and answer.ndim == 2 and answer.shape[1] > 1:
            return answer  # type: ignore[no-any-return]
        answers: NDArray[Any] = answer[:, column] if column is not None else answer.reshape(-1)
        if self._output.link is None:
            return answers
        return np.fromiter(map(_chance, answers.tolist()), answers.dtype, len(answers))  # the same bits as in `one`

    def one(self, row: array[float]) -> Prediction:
        """Return the number (or the chances) of one row: the same as in a batch, at half the cost."""
        one: PredictOne | None = getattr(self._own, "one", None)
        if one is None:
            one = self._own.one = _bound(self._session, self._into, self._output, len(row))
        return one(row)


def _bound(session: Any, into: str, output: Output, width: int) -> PredictOne:
    """Return a function that scores single rows in one thread, with its own buffers that are bound once."""
    row = np.zeros((1, width), np.float32)
    answer: NDArray[Any] = session.run([output.name], {into: row})[0]
    binding = session.io_binding()
    binding.bind_input(into, "cpu", 0, row.dtype, row.shape, row.ctypes.data)
    binding.bind_output(output.name, "cpu", 0, answer.dtype, answer.shape, answer.ctypes.data)
    # The inner session, because the outer one looks for WebGPU before each run. Without options each run makes its own.
    run, inner, options = session._sess.run_with_iobinding, binding._iobinding, onnxruntime.RunOptions()  # noqa: SLF001
    values = row.reshape(-1).data
    place = output.column or 0
    link = output.link
    answers: Any = answer.reshape(-1).data

    def chances(row: array[float]) -> Prediction:
        values[:] = row
        run(inner, options)
        return answers.tolist()  # type: ignore[no-any-return]

    if output.column is None and len(answers) > 1:
        return chances

    def one(row: array[float]) -> Prediction:
        values[:] = row
        run(inner, options)
        if link is not None:
            answers[place] = _chance(answers[place])  # rounds it to the answer's float32
        return answers[place]  # type: ignore[no-any-return]

    return one
