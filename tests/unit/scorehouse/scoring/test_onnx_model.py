"""A model's answers are the same for one row and for many."""

from __future__ import annotations

from array import array
from math import exp

import numpy as np
import pytest
from onnx import TensorProto
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

from scorehouse.scoring.onnx_model import OnnxModel, Output


def echo(output: Output, width: int) -> OnnxModel:
    """A model whose answer is its row."""
    given, answer = (make_tensor_value_info(n, TensorProto.FLOAT, [None, width]) for n in ("rows", output.name))
    graph = make_graph([make_node("Identity", ["rows"], [output.name])], "echo", [given], [answer])
    model = make_model(graph, opset_imports=[make_opsetid("", 15)], ir_version=8)
    return OnnxModel(model.SerializeToString(), output)


def test_log_odds_become_chances_the_same_to_the_last_bit_for_one_row_and_for_many() -> None:
    model = echo(Output(name="variable", link="logit"), 1)
    log_odds = np.append(np.linspace(-80, 40, 2001), [-1e30, 1e30, -np.inf, np.inf, np.nan]).astype(np.float32)
    together = model(log_odds.reshape(-1, 1))
    assert together.dtype == np.float32
    assert together[:2001] == pytest.approx([1 / (1 + exp(-x)) for x in log_odds[:2001].tolist()], rel=2e-7)
    assert together[2001:-1].tolist() == [0, 1, 0, 1]
    np.testing.assert_array_equal([model.one(array("f", [x])) for x in log_odds.tolist()], together)


def test_what_bundles_of_before_say_of_their_output_holds_still() -> None:
    model = echo(Output.model_validate_json('{"name": "probabilities", "column": 1}'), 2)
    assert model(np.array([[0.75, 0.25], [0.5, 0.5]], np.float32)).tolist() == [0.25, 0.5]
    assert model.one(array("f", [0.75, 0.25])) == 0.25


def test_doors_of_before_can_read_what_is_said_of_an_output_that_is_no_log_odds() -> None:
    assert Output(name="variable").model_dump() == {"name": "variable", "column": None}
    logit = Output(name="variable", link="logit")
    assert Output.model_validate_json(logit.model_dump_json()) == logit
