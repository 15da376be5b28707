"""Starts the stream scorer: `python -m server.stream`."""

from __future__ import annotations

import logging
import signal
import sys

from scorehouse.errors import ScorehouseError
from scorehouse.logs import start_logging
from scorehouse.settings import settings_or_exit
from scorehouse.streams.publisher import GaveUp
from scorehouse.wsgi_server import WsgiServer
from server.stream.heap import keep_heap
from server.stream.main import build

log = logging.getLogger("server.stream")


def main() -> None:
    """Score until SIGTERM, which finishes the batch under way."""
    settings = settings_or_exit()
    start_logging(settings.log_level)
    keep_heap()  # a batch's scoring takes half the time
    try:
        door = build(settings)
        server = WsgiServer(door.health, settings.bind_address, settings.stream_metrics_port)
    except ScorehouseError as error:
        sys.exit(f"cannot score the stream: {error}")
    except OSError as error:
        sys.exit(f"cannot score the stream: STREAM_METRICS_PORT={settings.stream_metrics_port}: {error.strerror}")
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: door.pulse.stop())
    log.info("scoring %s into %s", settings.predictions_stream_name, settings.results_stream_name)
    server.start("health")
    door.deployment.follow(door.pulse.stopped)
    try:
        door.scorer.run()
    except GaveUp as error:
        log.warning("%s", error)
    except Exception:
        log.exception("the stream scorer ends; whoever supervises it starts it again")
        sys.exit(1)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
