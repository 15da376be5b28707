"""Starts the shipper: `python -m server.shipper`."""

from __future__ import annotations

import logging
import signal
import sys
import time
from threading import Event

from prometheus_client import start_http_server

from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.journal.shipper import Shipper
from scorehouse.logs import start_logging
from scorehouse.stores.open import open_store
from scorehouse.stores.retention import Retention


def main() -> None:
    """Ship until SIGTERM, then once more. End with one line if another shipper runs, or the port is taken."""
    settings = settings_or_exit()
    start_logging(settings.log_level)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        retention = Retention(settings.keep_predictions_days, time.time)
        shipper = Shipper(settings.journal_folder, open_store(settings.store), retention)
        start_http_server(settings.shipper_metrics_port, settings.bind_address)
    except (ScorehouseError, OSError) as error:
        sys.exit(f"shipper: {error}")
    logging.getLogger(__name__).info(
        "shipping %s to %s", settings.journal_folder, "MongoDB" if settings.mongodb_address else settings.store_path
    )
    with shipper:
        shipper.run(stop)


if __name__ == "__main__":
    main()
