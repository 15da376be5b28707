"""The rows of a bundle that the monitor compares traffic with, and that every door scores before it serves."""

from __future__ import annotations

import gzip
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from scorehouse.scoring.encoding import Matrix

_VECTORS = ("predictions", "truth", "smoke", "required_only")


@dataclass(frozen=True, slots=True)
class Reference:
    """Training rows as the model sees them, their out-of-fold predictions, and the model's own on the first few.

    rows (n, columns) are float32, with NaN for missing; predictions and truth (n,); smoke (SMOKE_ROWS,); required_only
    (n,) are out-of-fold predictions of the same rows without optional fields, if the model was trained for such. Of
    several classes, a prediction is its chances: predictions (n, classes), and so are smoke and required_only.
    """

    rows: Matrix
    predictions: NDArray[np.float64]
    truth: NDArray[np.float64]
    smoke: NDArray[np.float64]
    required_only: NDArray[np.float64] | None = None

    def to_bytes(self) -> bytes:
        """Return the reference as gzipped JSON (null for missing), the same bytes for the same rows."""
        parts = {name: v.tolist() for name in _VECTORS if (v := getattr(self, name)) is not None}
        parts["rows"] = [[None if np.isnan(v) else float(v) for v in row] for row in self.rows]
        return gzip.compress(orjson.dumps(parts), mtime=0)

    @classmethod
    def from_bytes(cls, content: bytes) -> Reference:
        """Return the reference that `to_bytes` wrote."""
        parts = {name: np.array(v, dtype=np.float64) for name, v in orjson.loads(gzip.decompress(content)).items()}
        return cls(parts.pop("rows").astype(np.float32), **parts)
