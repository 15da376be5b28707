"""The demo's ONNX model as an MLServer runtime: encoded rows in, chances out; no schema, no log."""

import os

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class OnnxModel(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(os.environ["MODEL"], options)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        given = payload.inputs[0]
        rows = np.array(given.data.root, dtype=np.float32).reshape(given.shape)
        log_odds = self._session.run(None, {"rows": rows})[0].reshape(-1)
        chances = (1 / (1 + np.exp(-log_odds))).tolist()
        output = ResponseOutput(name="chance", shape=[len(chances)], datatype="FP32", data=chances)
        return InferenceResponse(model_name=self.name, outputs=[output])
