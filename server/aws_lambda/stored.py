"""The prediction log of a process without a disk of its own: what is answered goes to the store at once, in bulk."""

from __future__ import annotations

from scorehouse.errors import JournalError, StoreUnavailable
from scorehouse.journal.shipper import store_lines
from scorehouse.stores.store import Store


class StoredAtOnce:
    """Writes to the store what other doors leave to their journal."""

    def __init__(self, store: Store):
        """Connect to nothing yet."""
        self._store = store

    def append(self, lines: bytes) -> None:
        """Store the lines. Raises JournalError: nothing of them may be published."""
        try:
            store_lines(self._store, lines.split(b"\n")[:-1])
        except StoreUnavailable as error:
            raise JournalError(str(error)) from error

    def check(self) -> None:
        """Say nothing: only a write tells."""


class Forgotten:
    """The log of a test run: what is computed leaves no trace."""

    def append(self, lines: bytes) -> None:
        """Forget the lines."""

    def check(self) -> None:
        """Never fail."""
