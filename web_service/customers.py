"""Loads a customer table into the store of the web pages: `python -m web_service.customers TABLE`."""

from __future__ import annotations

import sys

from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.streams.publisher import FAULTS
from web_service.offers.customers import load_customers
from web_service.offers.open import open_store


def main() -> None:
    """Load the table given as the only argument, or else by DATA; its customers replace those with the same number."""
    settings = settings_or_exit()
    if sys.argv[1:]:
        settings = settings.model_copy(update={"data": sys.argv[1]})
    try:
        count = load_customers(open_store(settings), settings)
    except (ScorehouseError, OSError, ValueError, KeyError, *FAULTS) as error:
        sys.exit(f"the customers in {settings.data or 'the sample'} cannot be loaded: {error}")
    sys.stdout.write(f"{count:,} customers are known to the web pages\n")


if __name__ == "__main__":
    main()
