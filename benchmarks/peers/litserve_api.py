"""The demo's ONNX model behind LitServe: encoded rows in, chances out; no schema, no log."""

import os

import litserve
import numpy as np
import onnxruntime


class Churn(litserve.LitAPI):
    def setup(self, device):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(os.environ["MODEL"], options)

    def decode_request(self, request):
        return np.array(request["rows"], dtype=np.float32)

    def predict(self, rows):
        log_odds = self._session.run(None, {"rows": rows})[0].reshape(-1)
        return (1 / (1 + np.exp(-log_odds))).tolist()

    def encode_response(self, output):
        return {"predictions": output}


if __name__ == "__main__":
    server = litserve.LitServer(Churn(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(os.environ["PORT"]), num_api_servers=1, generate_client_file=False, log_level="error"
    )
