"""Opens the prediction store that the settings name: MongoDB, or SQLite without one."""

from __future__ import annotations

from scorehouse.settings import StoreSettings
from scorehouse.stores.report_store import ReportStore
from scorehouse.stores.store import Store


def open_store(settings: StoreSettings) -> Store:
    """Return the store of `settings`; nothing connects before its first use.

    Raises:
        SettingError: MONGODB_ADDRESS is not an address.
    """
    if settings.mongodb_address:
        from scorehouse.stores.mongo_store import MongoStore  # imports pymongo, which SQLite does not need

        return MongoStore(settings.mongodb_address)
    from scorehouse.stores.sqlite_store import SqliteStore

    return SqliteStore(settings.store_path)


def open_report_store(settings: StoreSettings) -> ReportStore:
    """Return the store of `settings`; nothing connects before its first use.

    Raises:
        SettingError: MONGODB_ADDRESS is not an address.
    """
    if settings.mongodb_address:
        from scorehouse.stores.mongo_reports import MongoReports  # imports pymongo, which SQLite does not need

        return MongoReports(settings.mongodb_address)
    from scorehouse.stores.sqlite_reports import SqliteReports

    return SqliteReports(settings.store_path)
