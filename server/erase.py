"""Erases a customer's predictions and outcomes: `python -m server.erase CUSTOMER_ID`, from journal and store."""

from __future__ import annotations

import sys

from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.journal.erasure import erase
from scorehouse.stores.open import open_store


def main() -> None:
    """Erase and say what was there; status 1 and one line where it cannot be done, 2 where nobody is named."""
    settings = settings_or_exit()
    customer_id = " ".join(sys.argv[1:]).strip()
    if not customer_id:
        sys.stderr.write("erase: whom? make erase CUSTOMER_ID=…\n")
        raise SystemExit(2)
    if not settings.journal_folder.is_dir():  # or a wrong DATA_FOLDER would look like a customer whom nobody knows
        sys.exit(f"erase: there is no journal in {settings.data_folder}: DATA_FOLDER says where it is")
    try:
        erased = erase(settings.journal_folder, open_store(settings), customer_id)
    except (ScorehouseError, OSError) as error:
        sys.exit(f"erase: {error}; nothing is half done that doing it again does not finish")
    where = "MongoDB" if settings.mongodb_address else str(settings.store_path)
    sys.stdout.write(
        f"customer {customer_id}: {erased.stored} predictions removed from {where}, "
        f"{erased.lines} lines erased in {settings.journal_folder}\n"
    )


if __name__ == "__main__":
    main()
