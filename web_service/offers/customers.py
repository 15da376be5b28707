"""Identifies customers, and loads them from the raw table."""

from __future__ import annotations

import logging
from hmac import compare_digest
from math import isnan
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scorehouse.aws import aws_client
from scorehouse.errors import ScorehouseError
from scorehouse.settings import Settings
from scorehouse.tables.frames import read_frame
from use_cases.insurance import customers as records_of
from use_cases.insurance import use_case
from web_service.offers.store import Document, Store, clear_attempts, count_attempt

log = logging.getLogger(__name__)
SAMPLE_ROWS = 2_000
SAMPLE_SEED = 1


class CustomerLocked(ScorehouseError):
    """A customer number is locked for this client, or for a while for all, whether such a customer exists or not."""

    def __init__(self, until: float):
        """`until` is a Unix time."""
        super().__init__("too many attempts")
        self.until = until


class UnknownCustomer(ScorehouseError):
    """No customer has this number and this date of birth; the error does not say which of the two is wrong."""


def identify(store: Store, id_: str, birth: str, client: str, now: float) -> Document:
    """Return the record of the customer with the number `id_` who was born on `birth`, for the address `client`.

    Raises:
        UnknownCustomer, CustomerLocked or StoreUnavailable.
    """
    if locked_until := count_attempt(store, id_, client, now):
        raise CustomerLocked(locked_until)
    customer = store.customer(id_)
    expected = str(customer["Date_birth"]) if customer else "-"
    if not compare_digest(expected.encode(), birth.encode()) or customer is None:
        raise UnknownCustomer("no customer has this number and this date of birth")
    clear_attempts(store, id_, client)
    return customer


def ensure_customers(store: Store, settings: Settings) -> None:
    """Load the customers of the table, or sample customers if there is none, unless the store has them already."""
    if not store.has_customers(made_up=False) and (
        use_case.table_at(settings.data) or not store.has_customers(made_up=True)
    ):
        load_customers(store, settings)


def load_customers(store: Store, settings: Settings) -> int:
    """Store every customer in the raw table that DATA or the page names, or in a generated table; return how many.

    Raises:
        UseCaseError: there is no table, and the page has no sample.
        StoreUnavailable, TableError, OSError, ValueError, KeyError, and what the bucket's client raises.
    """
    import pandas as pd

    source = use_case.table_at(settings.data)
    table = _table(source, settings) if source else pd.DataFrame(use_case.draw_sample(SAMPLE_ROWS, SAMPLE_SEED))
    customers = [{**customer, "ID": str(customer["ID"]), "made_up": not source} for customer in records_of(table)]
    complete = [c for c in customers if not any(isinstance(value, float) and isnan(value) for value in c.values())]
    if source:
        store.remove_made_up()
    store.add_customers(sorted(complete, key=lambda c: (len(c["ID"]), c["ID"])))
    incomplete = len(customers) - len(complete)
    log.info("loaded %d customers; left out %d whose records are incomplete", len(complete), incomplete)
    return len(complete)


def _table(source: str, settings: Settings) -> Any:
    if not source.startswith("s3://"):
        content = Path(source).read_bytes()
    else:
        place = urlsplit(source)
        s3 = aws_client("s3", settings.s3_address, settings.aws_default_region)
        content = s3.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"].read()
    frame = read_frame(content, source, use_case.table_features, use_case.missing)
    log.info("%s", frame.read_as)
    return frame.table
