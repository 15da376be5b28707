"""The composition root of the web pages: what their one process is made of."""

from __future__ import annotations

import logging
import random
import time
from threading import Event, Thread

from flask import Flask

from scorehouse.aws import aws_client
from scorehouse.errors import StoreUnavailable, TableError
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
RETRY_SECONDS = 5.0


def build(settings: Settings, stop: Event) -> Flask:
    """Return the application, and start the threads that load the customers and exchange records with the stream.

    Both threads end once `stop` is set.

    Raises:
        SettingError: a setting cannot be used.
        OSError, ValueError: the key that signs cookies cannot be made, or is damaged.
    """
    key = secret_key(settings.web_service_folder / "secret.key")
    store = open_store(settings)
    client = aws_client("kinesis", settings.kinesis_address, settings.aws_default_region)
    streams = (settings.predictions_stream_name, settings.results_stream_name, settings.errors_stream_name)
    keep_seconds = settings.keep_offers_days * 86400.0
    exchange = Exchange(store, client, streams, use_case.answer, keep_seconds, time.time, random.random)
    Thread(target=_load_customers, args=(store, settings, stop), name="customers", daemon=True).start()
    exchange.start(stop)
    return create_app(store, exchange, settings.web_service, key, time.time, time.monotonic)


def _load_customers(store: Store, settings: Settings, stop: Event) -> None:
    """Load the customers if the store has none; wait for a store or a bucket that is down."""
    while not stop.is_set():
        try:
            ensure_customers(store, settings)
        except (StoreUnavailable, *FAULTS) as error:
            log.warning("the customers cannot be loaded yet, trying again in %g s: %s", RETRY_SECONDS, error)
            stop.wait(RETRY_SECONDS)
        except (TableError, OSError, ValueError, KeyError) as error:
            log.error(
                "the customers in %s cannot be read, so every visitor is treated as new: %r", settings.data, error
            )
            return
        else:
            return
