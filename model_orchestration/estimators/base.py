"""What training needs from a family of models."""

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

    parameters: dict[str, Any]  # everything that is needed to fit it again, including the number of rounds

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Return the predictions, (n,): chances, amounts or classes. Of several classes: chances, (n, classes)."""

    def onnx(self) -> tuple[bytes, Output]:
        """Return the model as ONNX over float32 rows (n, columns), and which output has the answer."""

    def native(self) -> tuple[str, bytes] | None:
        """Return the name and content of the family's own file format, or None if that is a pickle."""

    def importance(self) -> NDArray[np.float64] | None:
        """Return the share of each column in the model's gain, (columns,), or None if the family has no such figure."""


class Trainer(Protocol):
    """Fits many models of one family on the same rows."""

    def fit(self, parameters: Parameters) -> Fitted:
        """Fit on the training rows; the validation rows may stop it early. Several threads may call it at once."""

    def refit(self, parameters: Parameters, data: Data) -> Fitted:
        """Fit on other rows with `Fitted.parameters`, without early stopping."""
