"""A model's answers, one row or many; and its runtime keeps to itself."""

from __future__ import annotations

import os
import subprocess
import sys
from array import array
from math import exp
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

from scorehouse.onnx_model import OnnxModel, Output

# With CI set, ONNX Runtime would be quiet by itself; a new home shows what it writes.
LOAD = "import os, scorehouse.onnx_model; print([p for _, d, f in os.walk(os.environ['HOME']) for p in d + f])"


def test_onnx_runtime_tells_its_maker_nothing(tmp_path: Path) -> None:
    environ = {k: v for k, v in os.environ.items() if k not in {"CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}}
    told = subprocess.run(
        [sys.executable, "-c", LOAD], env={**environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"


def echo(output: Output, width: int) -> OnnxModel:
    """A model whose answer is its row."""
    given, answer = (make_tensor_value_info(n, TensorProto.FLOAT, [None, width]) for n in ("rows", output.name))
    graph = make_graph([make_node("Identity", ["rows"], [output.name])], "echo", [given], [answer])
    model = make_model(graph, opset_imports=[make_opsetid("", 15)], ir_version=8)
    return OnnxModel(model.SerializeToString(), output)


def test_log_odds_become_chances_the_same_to_the_last_bit_for_one_row_and_for_many() -> None:
    model = echo(Output(name="variable", link="logit"), 1)
    log_odds = np.append(np.linspace(-40, 40, 2001), [-1e30, 1e30, -np.inf, np.inf, np.nan]).astype(np.float32)
    together = model(log_odds.reshape(-1, 1))
    assert together.dtype == np.float32
    assert together[:2001] == pytest.approx([1 / (1 + exp(-x)) for x in log_odds[:2001].tolist()], abs=6e-8)
    assert together[2001:-1].tolist() == [0, 1, 0, 1]
    np.testing.assert_array_equal([model.one(array("f", [x])) for x in log_odds.tolist()], together)


def test_bundles_of_before_give_chances_in_a_column() -> None:
    model = echo(Output(name="probabilities", column=1), 2)
    assert model(np.array([[0.75, 0.25], [0.5, 0.5]], np.float32)).tolist() == [0.25, 0.5]
    assert model.one(array("f", [0.75, 0.25])) == 0.25
