"""Opens the prediction store that the settings name: MongoDB, or SQLite without one."""

from __future__ import annotations

from scorehouse.settings import Settings
from scorehouse.stores.report_store import ReportStore
from scorehouse.stores.store import Store


def open_store(settings: Settings) -> Store:
    """Return the store of `settings`; nothing connects before its first use.

    Raises:
        SettingError: MONGODB_ADDRESS is no address.
    """
    if settings.mongodb_address:
        from scorehouse.stores.mongo_store import MongoStore  # pymongo, where it is used

        return MongoStore(settings.mongodb_address)
    from scorehouse.stores.sqlite_store import SqliteStore

    return SqliteStore(settings.store_path)


def open_report_store(settings: Settings) -> ReportStore:
    """Return the store of `settings`; nothing connects before its first use.

    Raises:
        SettingError: MONGODB_ADDRESS is no address.
    """
    if settings.mongodb_address:
        from scorehouse.stores.mongo_reports import MongoReports  # pymongo, where it is used

        return MongoReports(settings.mongodb_address)
    from scorehouse.stores.sqlite_reports import SqliteReports

    return SqliteReports(settings.store_path)
