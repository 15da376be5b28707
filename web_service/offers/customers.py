"""Who the customers are: read from the raw table. `python -m web_service.offers.customers TABLE` reads it again."""

from __future__ import annotations

import logging
import sys
from hmac import compare_digest
from math import isnan
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scorehouse.aws import aws_client
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.settings import Settings
from scorehouse.streams.publisher import FAULTS
from scorehouse.tables import parse_table
from use_cases.insurance import customers as records_of
from use_cases.insurance import use_case
from web_service.offers.open import open_store
from web_service.offers.store import Document, Store, take_try

log = logging.getLogger(__name__)
SAMPLE_ROWS, SAMPLE_SEED = 2_000, 1


class Locked(ScorehouseError):
    """Too many tries: nobody may be this customer until a time, whether there is one or not."""

    def __init__(self, until: float):
        """`until` is a Unix time."""
        super().__init__("too many tries")
        self.until = until


class Unknown(ScorehouseError):
    """No customer has this number and this date of birth; which of the two is wrong is not said."""


def identify(store: Store, id_: str, birth: str, now: float) -> Document:
    """Return the record of the customer who proved to be `id_`. Raises Unknown, Locked or StoreUnavailable."""
    if until := take_try(store, id_, now):
        raise Locked(until)
    customer = store.customer(id_)
    expected = str(customer["Date_birth"]) if customer else "-"
    if not compare_digest(expected.encode(), birth.encode()) or customer is None:
        raise Unknown("no customer has this number and this date of birth")
    store.clear_tries(id_)
    return customer


def ensure_customers(store: Store, settings: Settings) -> None:
    """Load the customers of DATA, or made-up ones without, where the store has none yet."""
    if not store.has_customers(made_up=False) and (settings.data or not store.has_customers(made_up=True)):
        load_customers(store, settings)


def load_customers(store: Store, settings: Settings) -> int:
    """Store every customer of the raw table that DATA names, or of a generated one; return how many.

    Raises:
        StoreUnavailable, TableError, OSError, ValueError, KeyError, and what the bucket's client raises.
    """
    import pandas as pd

    table = _table(settings) if settings.data else pd.DataFrame(use_case.sample(SAMPLE_ROWS, SAMPLE_SEED, 0.0))
    found = [{**_plain(c), "made_up": not settings.data} for c in records_of(table)]
    whole = [c for c in found if not any(isinstance(v, float) and isnan(v) for v in c.values())]
    if settings.data:
        store.remove_made_up()
    store.add_customers(sorted(whole, key=lambda c: (len(c["ID"]), c["ID"])))
    log.info("%d customers are known; %d have gaps and are new to the pages", len(whole), len(found) - len(whole))
    return len(whole)


def _plain(customer: Document) -> Document:
    return {**customer, "ID": str(customer["ID"])}


def _table(settings: Settings) -> Any:
    if not settings.data.startswith("s3://"):
        content = Path(settings.data).read_bytes()
    else:
        place = urlsplit(settings.data)
        s3 = aws_client("s3", settings.s3_address, settings.aws_default_region)
        content = s3.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"].read()
    return parse_table(content, settings.data)


def main() -> None:
    """Load a table given as DATA or as the only argument, in place of what is known of its customers."""
    settings = settings_or_exit()
    if sys.argv[1:]:
        settings = settings.model_copy(update={"data": sys.argv[1]})
    try:
        count = load_customers(open_store(settings), settings)
    except (ScorehouseError, OSError, ValueError, KeyError, *FAULTS) as error:
        sys.exit(f"customers: {settings.data or 'the sample'} cannot be loaded: {error}")
    sys.stdout.write(f"{count:,} customers are known to the web pages\n")


if __name__ == "__main__":
    main()
