"""What training asks of a family of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scorehouse.scoring.encoding import Matrix
from scorehouse.scoring.onnx_model import Output

Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Data:
    """Encoded rows (n, columns), their truth (n,) and weights (n,)."""

    rows: Matrix
    truth: NDArray[np.float64]
    weights: NDArray[np.float64]


class Fitted(Protocol):
    """A fitted model."""

    parameters: dict[str, Any]  # all that is needed to fit it again, found rounds included

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Return what the model answers, (n,): chances, amounts or classes."""

    def onnx(self) -> tuple[bytes, Output]:
        """Return the model as ONNX over float32 rows (n, columns), and where its answer stands."""

    def native(self) -> tuple[str, bytes] | None:
        """Return its own file, name and content; None where that would be a pickle."""

    def importance(self) -> NDArray[np.float64] | None:
        """Return each column's share of the model's gain, (columns,); None where the family has none."""


class Trainer(Protocol):
    """Fits models of one family on the same rows, many times."""

    def fit(self, parameters: Parameters) -> Fitted:
        """Fit on the training rows, watching the validation rows. Safe to call from several threads at once."""

    def refit(self, parameters: Parameters, data: Data) -> Fitted:
        """Fit on other rows with all that `Fitted.parameters` says, watching nothing."""
