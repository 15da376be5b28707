"""What the same server can do at most: a bare WSGI callable, and a Flask route, that answer a constant."""

import os
import sys

from flask import Flask, Response
from granian import Granian
from granian.constants import Interfaces

ANSWER = (
    b'{"churn chance":0.053824424743652344,"model_run_id":"' + b"0" * 32 + b'","prediction_id":"' + b"0" * 32 + b'"}'
)
HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(ANSWER)))]


def bare(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", HEADERS)
    return [ANSWER]


flask = Flask(__name__)


@flask.post("/predict")
def constant():
    return Response(ANSWER, mimetype="application/json")


if __name__ == "__main__":
    target = f"benchmarks.peers.baselines:{sys.argv[1]}"
    Granian(target, interface=Interfaces.WSGI, address="127.0.0.1", port=int(os.environ["PORT"]), workers=1,
            blocking_threads=1, log_enabled=False).serve()  # fmt: skip
