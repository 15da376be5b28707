"""Opens the store that the settings name: MongoDB, or a SQLite file if MONGODB_ADDRESS is empty."""

from __future__ import annotations

from scorehouse.settings import Settings
from web_service.offers.store import Store


def open_store(settings: Settings) -> Store:
    """Return the store of `settings`; nothing connects before its first use. Raises SettingError."""
    if settings.mongodb_address:
        from web_service.offers.mongo_store import MongoStore  # imports pymongo

        return MongoStore(settings.mongodb_address)
    from web_service.offers.sqlite_store import SqliteStore

    return SqliteStore(settings.web_service_folder / "customers.db")
