"""The web pages' composition root: what the one worker process is made of."""

from __future__ import annotations

import logging
import random
import time
from threading import Event, Thread

from flask import Flask

from scorehouse.aws import aws_client
from scorehouse.environment import settings_or_exit
from scorehouse.errors import StoreUnavailable, TableError
from scorehouse.logs import start_logging
from scorehouse.settings import Settings
from scorehouse.streams.publisher import FAULTS
from use_cases.insurance import use_case
from web_service.offers.customers import ensure_customers
from web_service.offers.exchange import Exchange
from web_service.offers.open import open_store
from web_service.offers.store import Store
from web_service.site.app import create_app
from web_service.site.visitors import secret_key

log = logging.getLogger(__name__)
AGAIN_SECONDS = 5.0


def build() -> Flask:
    """Return the application; threads of its own bring the customers in and exchange records with the stream."""
    settings = settings_or_exit()
    start_logging(settings.log_level)
    store, stop = open_store(settings), Event()
    client = aws_client("kinesis", settings.kinesis_address, settings.aws_default_region)
    streams = (settings.predictions_stream_name, settings.results_stream_name, settings.errors_stream_name)
    keep = settings.keep_offers_days * 86400.0
    exchange = Exchange(store, client, streams, use_case.answer, keep, time.time, random.random)
    Thread(target=_bring_in, args=(store, settings, stop), name="customers", daemon=True).start()
    exchange.follow(stop)
    key = secret_key(settings.web_service_folder / "secret.key")
    return create_app(store, exchange, settings, key, time.time)


def _bring_in(store: Store, settings: Settings, stop: Event) -> None:
    """Load the customers where there are none; wait for a store or a bucket that is down."""
    while True:
        try:
            return ensure_customers(store, settings)
        except (StoreUnavailable, *FAULTS) as error:
            log.warning("the customers wait: %s", error)
        except (TableError, OSError, ValueError, KeyError) as error:
            log.error("the customers of %s cannot be read, all are new: %r", settings.data, error)
            return None
        if stop.wait(AGAIN_SECONDS):
            return None
