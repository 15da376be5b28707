"""The model's runtime keeps to itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# With CI set, ONNX Runtime would be quiet by itself; a new home shows what it writes.
LOAD = "import os, scorehouse.scoring.onnx_model; print([p for _, d, f in os.walk(os.environ['HOME']) for p in d + f])"


def test_onnx_runtime_tells_its_maker_nothing(tmp_path: Path) -> None:
    environ = {k: v for k, v in os.environ.items() if k not in {"CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}}
    told = subprocess.run(
        [sys.executable, "-c", LOAD], env={**environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"
