"""Starts the stream scorer: `python -m server.stream`."""

from __future__ import annotations

import logging
import signal
import sys

from scorehouse.access import open_access
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.logs import start_logging
from scorehouse.streams.publisher import GaveUp
from scorehouse.wsgi_server import WsgiServer
from server.stream.heap import keep_heap
from server.stream.main import build

log = logging.getLogger("server.stream")


def main() -> None:
    """Score until SIGTERM; the batch under way is still finished."""
    settings = settings_or_exit()
    start_logging(settings.log_level)
    keep_heap()  # halves the time that scoring a batch takes
    try:
        door = build(settings)
        access = open_access(settings)
        server = WsgiServer(door.health, settings.bind_address, settings.stream_metrics_port, access)
    except ScorehouseError as error:
        sys.exit(f"cannot score the stream: {error}")
    except OSError as error:
        sys.exit(f"cannot score the stream: STREAM_METRICS_PORT={settings.stream_metrics_port}: {error.strerror}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: door.heartbeat.stop())
    log.info("scoring %s into %s", settings.predictions_stream_name, settings.results_stream_name)
    server.start("health")
    door.deployment.follow(door.heartbeat.stopped)
    try:
        door.scorer.run()
    except GaveUp as error:
        log.warning("%s", error)
    except Exception:
        log.exception("the stream scorer is exiting because of an error; its supervisor should restart it")
        sys.exit(1)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
