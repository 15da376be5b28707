"""XGBoost's trees through its C interface: its Python package would bring pandas and scikit-learn into the scorer."""

from __future__ import annotations

import ctypes
import sys
import weakref
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from scorehouse.errors import BundleError
from scorehouse.scoring.encoding import Matrix

Handle = ctypes.c_void_p
_CONTRIBUTIONS = {"type": 2, "training": False, "iteration_begin": 0, "iteration_end": 0, "strict_shape": True}


class Trees:
    """A booster that explains. Several threads may use it, but not at the same time."""

    def __init__(self, file: Path):
        """Load XGBoost's own file. Raises BundleError if XGBoost or the file cannot be loaded."""
        self._booster = Handle()
        _call("XGBoosterCreate", None, ctypes.c_uint64(0), ctypes.byref(self._booster))
        weakref.finalize(self, _call, "XGBoosterFree", self._booster)
        _call("XGBoosterSetParam", self._booster, b"nthread", b"1")
        _call("XGBoosterLoadModel", self._booster, str(file).encode())
        self.objective = self._objective()

    def contributions(self, rows: Matrix) -> NDArray[np.float32]:
        """Return (n, groups, columns + 1): each column's part of the margin and, last, the base; NaN is missing.

        The margin has one group, or one for each class of a multi-class objective.
        """
        given = np.ascontiguousarray(rows, dtype=np.float32)
        matrix, shape = Handle(), ctypes.POINTER(ctypes.c_uint64)()
        count, found = ctypes.c_uint64(), ctypes.POINTER(ctypes.c_float)()
        sizes = [ctypes.c_uint64(n) for n in given.shape]
        pointer = given.ctypes.data_as(ctypes.c_void_p)
        _call("XGDMatrixCreateFromMat", pointer, *sizes, ctypes.c_float(np.nan), ctypes.byref(matrix))
        try:
            _call(
                "XGBoosterPredictFromDMatrix", self._booster, matrix, orjson.dumps(_CONTRIBUTIONS),
                ctypes.byref(shape), ctypes.byref(count), ctypes.byref(found),
            )  # fmt: skip
            return np.ctypeslib.as_array(found, tuple(shape[: count.value])).copy()  # the buffer is the booster's
        finally:
            _call("XGDMatrixFree", matrix)

    def _objective(self) -> str:
        length, text = ctypes.c_uint64(), ctypes.c_char_p()
        _call("XGBoosterSaveJsonConfig", self._booster, ctypes.byref(length), ctypes.byref(text))
        return str(orjson.loads(text.value or b"{}")["learner"]["objective"]["name"])


@cache
def _library() -> ctypes.CDLL:
    spec = find_spec("xgboost")  # found, not imported
    if spec is None or spec.origin is None:
        raise BundleError("xgboost is not installed here, so predictions cannot be explained")
    suffix = {"darwin": "dylib", "win32": "dll"}.get(sys.platform, "so")
    name = f"{'' if sys.platform == 'win32' else 'lib'}xgboost.{suffix}"
    try:
        library = ctypes.CDLL(str(Path(spec.origin).parent / "lib" / name))
    except OSError as error:
        raise BundleError(f"xgboost cannot be loaded, so predictions cannot be explained: {error}") from error
    library.XGBGetLastError.restype = ctypes.c_char_p
    return library


def _call(name: str, *arguments: object) -> None:
    library = _library()
    if getattr(library, name)(*arguments) != 0:
        said = library.XGBGetLastError() or b"no reason given"
        raise BundleError(f"XGBoost cannot explain this prediction: {said.decode(errors='replace').splitlines()[0]}")
