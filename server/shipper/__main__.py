"""Starts the shipper: `python -m server.shipper`."""

from __future__ import annotations

import logging
import signal
import sys
import time
from threading import Event

from prometheus_client import make_wsgi_app

from scorehouse.access import open_access
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.journal.shipper import Shipper
from scorehouse.logs import start_logging
from scorehouse.stores.open import open_store
from scorehouse.stores.retention import Retention
from scorehouse.wsgi_server import WsgiServer


def main() -> None:
    """Ship until SIGTERM, then once more. End with one line if another shipper runs, or the port is taken."""
    settings = settings_or_exit()
    start_logging(settings.log_level)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        retention = Retention(
            settings.keep_predictions_days, time.time, settings.keep_waiting_days, settings.trust_clock
        )
        shipper = Shipper(settings.journal_folder, open_store(settings.store), retention, settings.monitor_folder)
        address, port = settings.bind_address, settings.shipper_metrics_port
        server = WsgiServer(make_wsgi_app(), address, port, open_access(settings))
    except (ScorehouseError, OSError) as error:
        sys.exit(f"shipper: {error}")
    logging.getLogger(__name__).info(
        "shipping %s to %s", settings.journal_folder, "MongoDB" if settings.mongodb_address else settings.store_path
    )
    server.start("metrics")
    with shipper:
        shipper.run(stop)
    server.stop()


if __name__ == "__main__":
    main()
