"""The prediction log of a process without a disk of its own: answers go to the store at once, in bulk."""

from __future__ import annotations

from scorehouse.errors import JournalError, StoreUnavailable
from scorehouse.journal.shipper import store_lines
from scorehouse.stores.store import Store


class StoredAtOnce:
    """Writes to the store what other doors write to their journal."""

    def __init__(self, store: Store):
        """Nothing connects before the first line."""
        self._store = store

    def append(self, lines: bytes) -> None:
        """Store the lines. Raises JournalError: none of them may be published."""
        try:
            store_lines(self._store, lines.split(b"\n")[:-1])
        except StoreUnavailable as error:
            raise JournalError(str(error)) from error

    def check(self) -> None:
        """Do nothing, because only a write shows whether the store works."""


class Forgotten:
    """The log of a test run, which keeps nothing."""

    def append(self, lines: bytes) -> None:
        pass

    def check(self) -> None:
        pass
