"""Erases a customer from journal, store and challengers' logs: `python -m server.erase CUSTOMER_ID`."""

from __future__ import annotations

import sys

from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.journal.erasure import erase
from scorehouse.stores.open import open_store


def main() -> None:
    """Erase and print what was removed; status 1 and one line if that fails, 2 if no customer is named."""
    settings = settings_or_exit()
    customer_id = " ".join(sys.argv[1:]).strip()
    if not customer_id:
        sys.stderr.write("erase: CUSTOMER_ID is missing: run `make erase CUSTOMER_ID=…`\n")
        raise SystemExit(2)
    if not settings.journal_folder.is_dir():  # or a wrong DATA_FOLDER would look like an unknown customer
        sys.exit(
            f"erase: there is no journal in {settings.data_folder}: set DATA_FOLDER to the folder that contains it"
        )
    try:
        erased = erase(settings.journal_folder, open_store(settings.store), customer_id, settings.monitor_folder)
    except (ScorehouseError, OSError) as error:
        sys.exit(f"erase: {error}; run it again to finish")
    where = "MongoDB" if settings.mongodb_address else str(settings.store_path)
    sys.stdout.write(
        f"customer {customer_id}: {erased.stored} predictions removed from {where}, "
        f"{erased.lines} lines erased in {settings.journal_folder}, "
        f"{erased.shadow_lines} in the challengers' logs\n"
    )


if __name__ == "__main__":
    main()
