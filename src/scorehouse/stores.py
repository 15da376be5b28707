"""Opens the prediction store that the settings name: MongoDB, or SQLite without."""

from __future__ import annotations

from scorehouse.predictions import Store
from scorehouse.settings import Settings


def open_store(settings: Settings) -> Store:
    """Return the store of `settings`; nothing connects before its first use.

    Raises:
        SettingError: MONGODB_ADDRESS is no address.
    """
    if settings.mongodb_address:
        from scorehouse.mongo_store import MongoStore  # pymongo, where it is used

        return MongoStore(settings.mongodb_address)
    from scorehouse.sqlite_store import SqliteStore

    return SqliteStore(settings.store_path)
