"""A small proxy in front of a Kinesis engine that answers some calls with AWS's errors, which no engine returns."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

import orjson

from tests.processes import HOST

Answer = tuple[int, dict[str, Any]]
Forward = Callable[[dict[str, Any]], Answer]
Rule = Callable[[dict[str, Any], Forward], Answer]
CODES = ("ProvisionedThroughputExceededException", "InternalFailure")


class FaultyProxy:
    """Passes calls on to `engine`. A rule may change the calls of its operation; `injected` counts the faults."""

    def __init__(self, engine: str, seed: int = 11):
        """Inject nothing until `rules` (by operation: GetRecords, PutRecords, ...) are set."""
        self._engine = urlsplit(engine)
        self._random = Random(seed)
        self._lock = Lock()
        self.rules: dict[str, Rule] = {}
        self.injected: Counter[str] = Counter()
        self.address = ""

    @contextmanager
    def running(self) -> Iterator[FaultyProxy]:
        """Listen on a free port."""
        server = ThreadingHTTPServer((HOST, 0), self._handler())
        server.daemon_threads = True
        self.address = f"http://{HOST}:{server.server_port}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join(5)

    def refusing(self, share: float, code: str, status: int = 400) -> Rule:
        """Return a rule that refuses that share of calls with `code`."""

        def rule(body: dict[str, Any], forward: Forward) -> Answer:
            if not self._hit(share):
                return forward(body)
            self.injected[code] += 1
            return status, {"__type": code, "message": "injected"}

        return rule

    def failing_entries(self, share: float) -> Rule:
        """Return a rule for PutRecords that fails that share of entries, each on its own."""

        def rule(body: dict[str, Any], forward: Forward) -> Answer:
            entries = body["Records"]
            failed = {i for i in range(len(entries)) if self._hit(share)}
            self.injected["entries"] += len(failed)
            taken: Iterator[dict[str, Any]] = iter(())
            if len(failed) < len(entries):
                status, answer = forward({**body, "Records": [e for i, e in enumerate(entries) if i not in failed]})
                if status != 200:
                    return status, answer
                taken = iter(answer["Records"])
            places = [
                {"ErrorCode": CODES[i % 2], "ErrorMessage": "injected"} if i in failed else next(taken)
                for i in range(len(entries))
            ]
            return 200, {"FailedRecordCount": len(failed), "Records": places}

        return rule

    def _hit(self, share: float) -> bool:
        with self._lock:
            return self._random.random() < share

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                self.engine = http.client.HTTPConnection(str(proxy._engine.hostname), proxy._engine.port, timeout=30)

            def finish(self) -> None:
                super().finish()
                self.engine.close()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                rule = proxy.rules.get(self.headers["X-Amz-Target"].rpartition(".")[2])
                if rule is None:
                    self._answer(*self._send(body))
                else:
                    status, about = rule(orjson.loads(body), self._forward)
                    self._answer(status, orjson.dumps(about))

            def _forward(self, body: dict[str, Any]) -> Answer:
                status, answer = self._send(orjson.dumps(body))
                return status, orjson.loads(answer) if answer else {}

            def _send(self, body: bytes) -> tuple[int, bytes]:
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "content-length")}
                self.engine.request("POST", self.path, body, headers)
                response = self.engine.getresponse()
                return response.status, response.read()

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
