"""The shipper as a process: its settings decide what is removed by age."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scorehouse.journal.journal import Journal
from scorehouse.journal.shipper import Shipper
from scorehouse.stores.sqlite_store import SqliteStore
from tests import processes
from tests.processes import until
from tests.unit.scorehouse.journal.test_shipper import line, outcome_line


def test_what_is_too_old_is_removed_as_the_shippers_settings_say(tmp_path: Path) -> None:
    def at(days: float) -> str:
        return (datetime.now(UTC) - timedelta(days=days)).isoformat()

    Journal(tmp_path / "journal", "http").append(
        line("old", created_at=at(90)) + outcome_line("never came", 1.0, at(5)) + outcome_line("may come", 1.0, at(1))
    )
    young = line("young", created_at=at(1))
    shadow = tmp_path / "monitor" / "churn" / "shadow-a.jsonl"
    shadow.parent.mkdir(parents=True)
    shadow.write_bytes(line("old", created_at=at(90)) + young)
    with closing(SqliteStore(tmp_path / "predictions.db")) as store:
        with Shipper(tmp_path / "journal", store) as first:
            first.ship()
        assert (len(store.predictions_after("churn", 0, 10)), store.waiting_outcomes()) == (1, 2)
        # Everything that is stored is old, so that the clock seems to have jumped.
        settings = {"KEEP_PREDICTIONS_DAYS": "30", "KEEP_WAITING_DAYS": "3", "TRUST_CLOCK": "True"}
        with processes.started(processes.shipper(tmp_path, **settings)):
            until(lambda: not store.predictions_after("churn", 0, 10), 60, "the old prediction is removed")
            until(lambda: store.waiting_outcomes() == 1, 60, "the outcome that waited too long is dropped")
            until(lambda: shadow.read_bytes() == young, 60, "the challenger's log has expired")
