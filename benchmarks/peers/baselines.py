"""Upper limits: servers that answer a constant, on the product's connections and, through WSGI, on Granian."""

import os
import sys

import uvicorn
from flask import Flask, Response
from granian import Granian
from granian.constants import Interfaces

ANSWER = (
    b'{"churn chance":0.053824424743652344,"model_run_id":"' + b"0" * 32 + b'","prediction_id":"' + b"0" * 32 + b'"}'
)
HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(ANSWER)))]
START = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
WHERE = {"port": int(os.environ.get("PORT", "0")), "workers": 1}


def bare(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", HEADERS)
    return [ANSWER]


flask = Flask(__name__)


@flask.post("/predict")
def constant():
    return Response(ANSWER, mimetype="application/json")


class OwnDoor:
    """Answers a constant on the product's connections, which read whole requests."""

    max_body_bytes = 2**20
    most_held = 2**26
    held = 0

    def take(self, connection, cycle):
        connection.loop.call_soon(connection.send, cycle, START, ANSWER)


if __name__ == "__main__":
    target = f"benchmarks.peers.baselines:{sys.argv[1]}"
    if sys.argv[1] == "OwnDoor":
        uvicorn.run(target, factory=True, interface="asgi3", ws="none",
                    http="server.web.transport.connection:Connection",
                    loop="uvloop", lifespan="off", proxy_headers=False, log_level="error", **WHERE)  # fmt: skip
    else:
        Granian(target, interface=Interfaces.WSGI, address="127.0.0.1", blocking_threads=1, log_enabled=False,
                **WHERE).serve()  # fmt: skip
