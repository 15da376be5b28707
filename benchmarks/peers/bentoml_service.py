"""The demo's ONNX model as a BentoML service: encoded rows in, chances out; no schema, no log."""

import os

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Churn:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(os.environ["MODEL"], options)

    @bentoml.api
    def predict(self, rows: list[list[float]]) -> list[float]:
        log_odds = self._session.run(None, {"rows": np.array(rows, dtype=np.float32)})[0].reshape(-1)
        return (1 / (1 + np.exp(-log_odds))).tolist()
