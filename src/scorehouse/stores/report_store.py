"""What reports need from the prediction store: predictions between two times, and a place for reports."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from scorehouse.stores.store import Answered, Document


class ReportStore(Protocol):
    """Reads predictions by time, a bounded number of them; keeps one JSON document per report. Times are in UTC."""

    def answered_between(self, since: datetime, until: datetime) -> list[Answered]:
        """Return which runs answered from `since` on and before `until`. Raises StoreUnavailable."""

    def newest_between(
        self, run: Answered, since: datetime, until: datetime, limit: int, with_outcome: bool = False
    ) -> list[Document]:
        """Return the newest `limit` predictions of a run, oldest first; only those whose outcome is known, if asked."""

    def save_report(self, report: Document) -> None:
        """Store a report (id, until, …) in place of the one with its id."""

    def reports(self, limit: int) -> list[Document]:
        """Return the newest `limit` reports, the newest window first."""

    def forget_reports(self, before: datetime) -> None:
        """Remove the reports of windows that ended before a time."""

    def close(self) -> None:
        """Close the file or the connections."""
